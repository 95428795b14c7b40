//! Rust source without its comments and literals.

/// The source with comments, strings and characters blanked; lines keep their numbers.
pub fn code_only(source: &str) -> String {
    let text: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < text.len() {
        let end = match text[at] {
            '/' if text.get(at + 1) == Some(&'/') => line_end(&text, at),
            '/' if text.get(at + 1) == Some(&'*') => comment_end(&text, at),
            '"' => string_end(&text, at),
            '\'' => character_end(&text, at),
            c if starts_word(&text, at) => match raw_string_end(&text, at) {
                Some(end) => end,
                None => {
                    code.push(c);
                    at += 1;
                    continue;
                }
            },
            c => {
                code.push(c);
                at += 1;
                continue;
            }
        };
        // A blank, so that what stood on both sides does not grow together.
        code.push(' ');
        code.extend(text[at..end].iter().filter(|c| **c == '\n'));
        at = end;
    }
    code
}

fn line_end(text: &[char], from: usize) -> usize {
    text[from..]
        .iter()
        .position(|c| *c == '\n')
        .map_or(text.len(), |length| from + length)
}

/// Comments nest.
fn comment_end(text: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                at += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    text.len()
}

fn string_end(text: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// `'x'` and `'\n'` are characters; `'a` is a lifetime, of which only the tick is passed over.
fn character_end(text: &[char], from: usize) -> usize {
    if text.get(from + 1) == Some(&'\\') {
        let after = (from + 3).min(text.len());
        let length = text[after..].iter().position(|c| *c == '\'');
        return length.map_or(text.len(), |length| after + length + 1);
    }
    if text.get(from + 2) == Some(&'\'') {
        from + 3
    } else {
        from + 1
    }
}

fn starts_word(text: &[char], at: usize) -> bool {
    at == 0 || !(text[at - 1].is_alphanumeric() || text[at - 1] == '_')
}

/// The end of `r"…"`, `br#"…"#` and their kin that begins here, if one does.
fn raw_string_end(text: &[char], from: usize) -> Option<usize> {
    let mut at = from;
    if matches!(text.get(at)?, 'b' | 'c') {
        at += 1;
    }
    if text.get(at)? != &'r' {
        return None;
    }
    at += 1;
    let fences = text[at..].iter().take_while(|c| **c == '#').count();
    at += fences;
    if text.get(at)? != &'"' {
        return None;
    }
    at += 1;
    while at < text.len() {
        let closes = text[at] == '"'
            && text[at + 1..]
                .iter()
                .take_while(|c| **c == '#')
                .take(fences)
                .count()
                == fences;
        if closes {
            return Some(at + 1 + fences);
        }
        at += 1;
    }
    Some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_left() {
        for (source, expected) in [
            ("a // unsafe\nb", "a  \nb"),
            ("a /* x /* unsafe */ y\n*/ b", "a  \n b"),
            (r#"f("unsafe \" still", b)"#, "f( , b)"),
            (r##"f(r#"unsafe " still"#, b)"##, "f( , b)"),
            (r#"f(br"\", b)"#, "f( , b)"),
            ("for r in x {}", "for r in x {}"),
            ("fn f<'a>(x: &'a str)", "fn f< a>(x: & a str)"),
            ("['\"', '\\'', '\\\\', 'u'] unsafe", "[ ,  ,  ,  ] unsafe"),
            ("'\\u{1F600}' x", "  x"),
            ("\"open", " "),
            ("/* open", " "),
        ] {
            assert_eq!(code_only(source), expected, "{source}");
        }
    }
}
