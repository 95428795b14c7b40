//! Patterns in which `*` stands for any text and `?` for one character.

/// Does `pattern` match the whole of `text`? No character but `*` and `?` has a meaning.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // The last star, and how far the text was when it was met: what to come back to. An earlier
    // star need not be tried again, so time is bounded by the product of both lengths.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star_p, star_t)) = star else {
                    return false;
                };
                star = Some((star_p, star_t + 1));
                p = star_p + 1;
                t = star_t + 1;
            }
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("start/*", "start/x", true),
            ("start/*", "restart/x", false),
            ("*b*b", "abcb", true),
            ("*b*b", "abcbc", false),
            ("a?c", "aüc", true),
            ("a?c", "ac", false),
            ("[lxc]*", "[lxc] x", true),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&"*a".repeat(200), &"b".repeat(2_000)));
        assert!(!matches(&"*a".repeat(200), &"a".repeat(199)));
    }

    proptest::proptest! {
        #[test]
        fn a_text_with_a_part_starred_out_is_matched(
            text in "[a-c/]{0,20}", from in 0usize..21, to in 0usize..21,
        ) {
            let (from, to) = (from.min(text.len()), to.min(text.len()));
            let pattern = format!("{}*{}", &text[..from.min(to)], &text[from.max(to)..]);
            proptest::prop_assert!(matches(&pattern, &text));
        }
    }
}
