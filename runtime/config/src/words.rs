//! Command lines of `lxc.init.cmd` and `lxc.execute.cmd`, split into words as a shell would.

/// The words of `line`: separated by blanks, quoted with `'` or `"`, `\` before a single character.
///
/// Nothing is expanded. Inside `'…'` everything is literal; inside `"…"` a `\` protects only `"`,
/// `\`, `$` and a backquote and is literal otherwise. `''` is an empty word.
///
/// # Errors
/// A sentence when a quote is not closed or `\` is the last character.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => single_quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => {
                let escaped = chars.next().ok_or("\\ at the end protects nothing")?;
                word.get_or_insert_default().push(escaped);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn single_quoted(chars: &mut std::str::Chars, word: &mut String) -> Result<(), String> {
    for c in chars {
        match c {
            '\'' => return Ok(()),
            c => word.push(c),
        }
    }
    Err("a ' is not closed".to_owned())
}

fn double_quoted(chars: &mut std::str::Chars, word: &mut String) -> Result<(), String> {
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(()),
            '\\' => match chars.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => break,
            },
            c => word.push(c),
        }
    }
    Err("a \" is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case("/bin/sh -c", &["/bin/sh", "-c"])]
    #[case("  a\tb  ", &["a", "b"])]
    #[case("sh -c 'echo \"x\" y'", &["sh", "-c", "echo \"x\" y"])]
    #[case(r#"a"b c"'d e'f"#, &["ab cd ef"])]
    #[case(r"a\ b \\", &["a b", r"\"])]
    #[case(r#""\n\"\$""#, &[r#"\n"$"#])]
    #[case("'' \"\"", &["", ""])]
    #[case("", &[])]
    fn words_are_split_as_a_shell_does(#[case] line: &str, #[case] expected: &[&str]) {
        assert_eq!(
            super::split(line).as_deref(),
            Ok(&expected.iter().map(|s| s.to_string()).collect::<Vec<_>>()[..])
        );
    }

    #[rstest]
    #[case("a 'b", "' is not closed")]
    #[case("a \"b", "\" is not closed")]
    #[case("\"b\\", "\" is not closed")]
    #[case("a\\", "protects nothing")]
    fn open_quotes_are_named(#[case] line: &str, #[case] expected: &str) {
        let error = super::split(line).expect_err(line);
        assert!(error.contains(expected), "{error}");
    }
}
