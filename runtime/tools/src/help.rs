//! The texts made from an option table: `--help` and `--usage`.

use std::fmt::Write;

use crate::options::{Form, Short, Takes};

/// What the help of a tool says around its options.
pub struct Words {
    /// The program's name, `lxc-start`.
    pub program: &'static str,
    /// What follows the program's name in the first line.
    pub synopsis: &'static str,
    /// What the tool does, one or more lines.
    pub about: &'static str,
    /// What follows the options; empty for nothing.
    pub notes: &'static str,
}

/// The options of one tool: first its own, then those of all tools.
pub struct Table {
    pub own: Vec<Form>,
    pub common: Vec<Form>,
}

/// The help text; that of a program without common options, a template, ends with its own.
pub fn help(words: &Words, table: &Table) -> String {
    let Words {
        program,
        synopsis,
        about,
        notes,
    } = words;
    let mut text = format!("Usage: {program} {synopsis}\n\n{about}\n");
    if !table.own.is_empty() {
        text.push_str("\nOptions :\n");
        options(&mut text, &table.own);
    }
    if !notes.is_empty() {
        let _ = write!(text, "\n{notes}\n");
    }
    if table.common.is_empty() {
        return text;
    }
    text.push_str("\nCommon options :\n");
    options(&mut text, &table.common);
    text.push_str("\nAn argument that a long option takes is taken by its short form too.\n");
    let _ = write!(
        text,
        "\nSee the {program} man page for further information.\n\n"
    );
    text
}

fn options(text: &mut String, forms: &[Form]) {
    let heads: Vec<String> = forms
        .iter()
        .filter(|form| !form.help.is_empty())
        .map(head)
        .collect();
    // Longer heads get a line of their own instead of pushing all texts to the right.
    let width = heads
        .iter()
        .map(String::len)
        .filter(|len| *len <= 26)
        .max()
        .unwrap_or(0);
    let documented = forms.iter().filter(|form| !form.help.is_empty());
    for (head, form) in heads.iter().zip(documented) {
        let help = match form.later {
            true => format!("{} (not implemented yet)", form.help),
            false => form.help.to_owned(),
        };
        let mut lines = help.lines();
        if head.len() <= width {
            let _ = writeln!(
                text,
                "  {head:width$}  {}",
                lines.next().unwrap_or_default()
            );
        } else {
            let _ = writeln!(text, "  {head}");
        }
        for line in lines {
            let _ = writeln!(text, "  {:width$}  {line}", "");
        }
    }
}

fn head(form: &Form) -> String {
    let short = match form.short {
        Short::Listed(c) => format!("-{c}, "),
        Short::None | Short::Unlisted(_) => "    ".to_owned(),
    };
    let value = match form.takes {
        Takes::Nothing => String::new(),
        Takes::Value(value) => format!("={value}"),
        Takes::Optional(value) => format!("[={value}]"),
    };
    format!("{short}--{}{value}", form.long)
}

/// The usage text: one bracket per row of the table, four in a line.
pub fn usage(program: &str, table: &Table) -> String {
    let mut text = format!("Usage: {program} ");
    for (index, form) in table.own.iter().chain(&table.common).enumerate() {
        let short = form
            .short
            .char()
            .map(|c| format!("-{c}|"))
            .unwrap_or_default();
        let value = form.long.to_uppercase();
        let value = match form.takes {
            Takes::Nothing => String::new(),
            Takes::Value(_) => format!("={value}"),
            Takes::Optional(_) => format!("[={value}]"),
        };
        let _ = write!(text, "[{short}--{}{value}] ", form.long);
        if index % 4 == 3 {
            text.push_str("\n\t");
        }
    }
    text.push('\n');
    text
}
