//! Manual pages, written in roff from the same tables as `--help`.

use std::fmt::Write;

use lxc_runtime::roff::{escaped, line, see_also};

use crate::applet::Entry;
use crate::failure::Failure;
use crate::help::{Table, Words};
use crate::options::{Form, Short, Takes};

/// Exit statuses beside 0, done, and 1, failed.
const STATUSES: &[(&str, &[(&str, &str)])] = &[
    (
        "lxc-attach",
        &[
            ("126", "COMMAND cannot be executed."),
            ("127", "There is no COMMAND inside."),
            ("128+n", "COMMAND was killed by signal n."),
            ("other", "That of COMMAND."),
        ],
    ),
    (
        "lxc-execute",
        &[
            ("128+n", "COMMAND was killed by signal n."),
            ("other", "That of COMMAND."),
        ],
    ),
    ("lxc-stop", &[("2", "The container does not run.")]),
];

/// The answer to `--man`: without a page the names of all, as paths below share/man; else its text.
pub fn answer(tools: &[Entry], page: Option<&str>) -> Result<String, Failure> {
    let mut pages = pages(tools);
    match page {
        None => Ok(pages.iter().map(|(name, _)| format!("{name}\n")).collect()),
        Some(page) => match pages.iter().position(|(name, _)| name == page) {
            Some(at) => Ok(pages.swap_remove(at).1),
            None => Err(Failure::new(format!(
                "there is no manual page {page:?}; --man alone lists them"
            ))),
        },
    }
}

/// Path below share/man, and text.
fn pages(tools: &[Entry]) -> Vec<(String, String)> {
    let tool = |entry: &Entry| {
        let name = format!("man1/{}.1", entry.words.program);
        (name, tool(entry.words, &(entry.table)()))
    };
    let mut pages: Vec<_> = tools.iter().map(tool).collect();
    for (name, text) in [
        ("man5/lxc.conf.5", lxc_runtime::global_manual()),
        ("man5/lxc.container.conf.5", lxc_runtime::manual()),
        ("man7/lxc.7", overview(tools)),
    ] {
        pages.push((name.to_owned(), text));
    }
    pages
}

/// The page of one tool.
fn tool(words: &Words, table: &Table) -> String {
    let Words {
        program,
        synopsis,
        about,
        notes,
    } = words;
    let mut page = head(program, "1", &purpose(words));
    let _ = writeln!(page, ".SH SYNOPSIS");
    let _ = writeln!(page, ".B {}", escaped(program));
    let _ = writeln!(page, "{}", line(&marked(synopsis)));
    let _ = writeln!(page, ".SH DESCRIPTION");
    paragraph(&mut page, about);
    if !notes.is_empty() {
        let _ = writeln!(page, ".PP");
        paragraph(&mut page, notes);
    }
    options(&mut page, "OPTIONS", &table.own);
    options(&mut page, "COMMON OPTIONS", &table.common);
    let _ = writeln!(page, ".SH EXIT STATUS");
    let special = STATUSES.iter().find(|(name, _)| name == program);
    let own = special.map_or(&[][..], |(_, own)| own);
    let usual = [("0", "Done."), ("1", "Failed; standard error says why.")];
    for (status, meaning) in usual.iter().chain(own) {
        let _ = writeln!(page, ".TP\n.B {status}\n{}", line(&escaped(meaning)));
    }
    see_also(
        &mut page,
        &["lxc(7)", "lxc.container.conf(5)", "lxc.conf(5)"],
    );
    page
}

/// lxc(7): what there is, and where it is explained.
fn overview(tools: &[Entry]) -> String {
    let mut page = head("lxc", "7", "system containers for Linux");
    let _ = writeln!(page, ".SH DESCRIPTION");
    for (index, text) in OVERVIEW.iter().enumerate() {
        if index > 0 {
            let _ = writeln!(page, ".PP");
        }
        paragraph(&mut page, text);
    }
    let _ = writeln!(page, ".SH TOOLS");
    for Entry { words, .. } in tools {
        let tag = format!(".TP\n.BR {} (1)", escaped(words.program));
        let _ = writeln!(page, "{tag}\n{}", line(&escaped(&sentence(words))));
    }
    let _ = writeln!(page, ".SH STATES");
    for (state, meaning) in STATES {
        let _ = writeln!(page, ".TP\n.B {state}\n{}", line(&escaped(meaning)));
    }
    let _ = writeln!(page, ".SH FILES");
    for (file, meaning) in FILES {
        let _ = writeln!(
            page,
            ".TP\n.I {}\n{}",
            escaped(file),
            line(&escaped(meaning))
        );
    }
    see_also(&mut page, &["lxc.container.conf(5)", "lxc.conf(5)"]);
    page
}

const OVERVIEW: &[&str] = &[
    "A container is a group of processes with a root file system, a network, process ids and a host\n\
     name of their own, started from one init program. All of it is made of features of the kernel:\n\
     namespaces, cgroups, capabilities and seccomp filters. There is no machine in between.",
    "Each container has a name, and a directory of that name below the lxcpath, with the file config\n\
     in it: one key and its value a line. What a key means stands in lxc.container.conf(5), the\n\
     settings of the installation itself in lxc.conf(5).",
    "While a container runs, a small program of its own, the monitor, runs beside it. It is the one\n\
     that tools and programs ask for the state, a terminal or a shell inside. Programs use the\n\
     library liblxc.so.1, whose interface is <lxc/lxccontainer.h>.",
    "A container starts with a plan, the list of all that will be done; lxc-start --plan prints it and\n\
     does nothing.",
];

const STATES: &[(&str, &str)] = &[
    ("STOPPED", "There is no process of it."),
    ("STARTING", "It is being put together; hooks may run."),
    ("RUNNING", "Its init was executed."),
    (
        "STOPPING",
        "Its init has ended, and it is being taken apart.",
    ),
    ("ABORTING", "Its start failed, and what was made is undone."),
    (
        "FREEZING",
        "Its processes are being stopped where they are.",
    ),
    (
        "FROZEN",
        "None of its processes goes on until it is thawed.",
    ),
    ("THAWED", "Its processes go on; RUNNING follows."),
];

const FILES: &[(&str, &str)] = &[
    (
        "LXCPATH/NAME/config",
        "Configuration of the container NAME.",
    ),
    (
        "LXCPATH/NAME/rootfs",
        "Its root file system, unless the configuration names another.",
    ),
    (
        "etc/lxc/lxc.conf",
        "Settings of the installation; need not exist.",
    ),
    (
        "etc/lxc/default.conf",
        "What configurations of new containers begin with.",
    ),
    (
        "share/lxc/config",
        "Settings for configurations to include.",
    ),
    (
        "share/lxc/templates",
        "Programs that fill root file systems.",
    ),
];

fn head(name: &str, section: &str, purpose: &str) -> String {
    let (title, name) = (escaped(&name.to_uppercase()), escaped(name));
    let source = escaped(&format!("LXC {}", lxc_runtime::LXC_VERSION));
    let purpose = escaped(purpose);
    format!(".TH {title} {section} \"\" \"{source}\" \"\"\n.SH NAME\n{name} \\- {purpose}\n")
}

/// The first sentence of what is said of a tool, without the tool's name and the full stop.
fn purpose(words: &Words) -> String {
    sentence(words).trim_end_matches('.').to_owned()
}

/// The first sentence of what is said of a tool, without the tool's name.
fn sentence(words: &Words) -> String {
    let about = words.about.replace('\n', " ");
    let first = about.split_inclusive(". ").next().unwrap_or_default();
    let rest = first.trim_end().strip_prefix(words.program);
    rest.unwrap_or(first).trim().to_owned()
}

fn options(page: &mut String, title: &str, forms: &[Form]) {
    let documented: Vec<_> = forms.iter().filter(|form| !form.help.is_empty()).collect();
    if documented.is_empty() {
        return;
    }
    let _ = writeln!(page, ".SH {title}");
    for form in documented {
        let short = match form.short {
            Short::Listed(c) => format!("\\fB\\-{c}\\fR, "),
            Short::None | Short::Unlisted(_) => String::new(),
        };
        let value = match form.takes {
            Takes::Nothing => String::new(),
            Takes::Value(value) => format!("=\\fI{}\\fR", escaped(value)),
            Takes::Optional(value) => format!("[=\\fI{}\\fR]", escaped(value)),
        };
        let long = escaped(form.long);
        let _ = writeln!(page, ".TP\n{short}\\fB\\-\\-{long}\\fR{value}");
        let later = if form.later {
            " (not implemented yet)"
        } else {
            ""
        };
        let help = format!("{}{later}.", form.help.replace('\n', " "));
        let _ = writeln!(page, "{}", line(&escaped(&help)));
    }
}

fn paragraph(page: &mut String, text: &str) {
    for text in text.lines() {
        let _ = writeln!(page, "{}", line(&escaped(text)));
    }
}

/// Words in capital letters stand for something else: they are set in italics.
fn marked(synopsis: &str) -> String {
    let mut text = String::new();
    let mut word = String::new();
    for c in synopsis.chars().chain(Some('\0')) {
        if c.is_ascii_alphabetic() {
            word.push(c);
            continue;
        }
        if word.len() > 1 && word.bytes().all(|b| b.is_ascii_uppercase()) {
            let _ = write!(text, "\\fI{word}\\fR");
        } else {
            text.push_str(&word);
        }
        word.clear();
        if c != '\0' {
            text.push_str(&escaped(c.encode_utf8(&mut [0; 4])));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(
        "[--name=]NAME [-- WORD...]",
        "[\\-\\-name=]\\fINAME\\fR [\\-\\- \\fIWORD\\fR...]"
    )]
    #[case("-l | ITEM", "\\-l | \\fIITEM\\fR")]
    fn placeholders_are_italic(#[case] synopsis: &str, #[case] roff: &str) {
        assert_eq!(marked(synopsis), roff);
    }

    #[rstest]
    #[case("lxc-x makes a.b of it. Then more.", "makes a.b of it")]
    #[case("lxc-x waits\nfor it.", "waits for it")]
    fn the_first_sentence_is_the_purpose(#[case] about: &'static str, #[case] wanted: &str) {
        let words = Words {
            program: "lxc-x",
            synopsis: "",
            about,
            notes: "",
        };
        assert_eq!(purpose(&words), wanted);
    }

    #[test]
    fn no_line_is_taken_for_a_request() {
        assert_eq!(line(".B x"), "\\&.B x");
        assert_eq!(line("'tis"), "\\&'tis");
        assert_eq!(escaped("a\\-b"), "a\\e\\-b");
    }
}
