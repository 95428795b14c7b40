//! The manual pages lxc.container.conf(5) and lxc.conf(5), in roff, written from the tables.

use crate::documentation::{KeyDoc, documentation};
use crate::global::{GLOBAL_KEYS, GlobalKey};
use crate::roff::{self, escaped, see_also};
use std::fmt::Write;

/// The manual page lxc.container.conf(5) in roff: the file format, the kinds of values, every key.
pub fn manual() -> String {
    let mut page = head(
        "lxc.container.conf",
        "configuration of a container",
        CONTAINER_SYNOPSIS,
    );
    section(&mut page, "DESCRIPTION", DESCRIPTION);
    section(&mut page, "FILE FORMAT", FORMAT);
    tagged(&mut page, "VALUES", VALUES);
    section(&mut page, "KEYS", KEYS);
    for row in documentation() {
        key(&mut page, &row);
    }
    section(&mut page, "EXAMPLE", &[]);
    literal(&mut page, EXAMPLE);
    see_also(&mut page, &["lxc(7)", "lxc.conf(5)", "lxc-start(1)"]);
    page
}

/// The manual page lxc.conf(5) in roff: the file format and every key of [`GLOBAL_KEYS`].
pub fn global_manual() -> String {
    let mut page = head(
        "lxc.conf",
        "settings of the installation of LXC",
        GLOBAL_SYNOPSIS,
    );
    section(&mut page, "DESCRIPTION", GLOBAL_DESCRIPTION);
    section(&mut page, "KEYS", &[]);
    for GlobalKey { key, doc, default } in GLOBAL_KEYS {
        tag(&mut page, key);
        let default = default.map(|value| format!(" Default: `{value}`."));
        text_line(&mut page, &format!("{doc}{}", default.unwrap_or_default()));
    }
    see_also(
        &mut page,
        &["lxc(7)", "lxc.container.conf(5)", "lxc-config(1)"],
    );
    page
}

const CONTAINER_SYNOPSIS: &[&str] = &["LXCPATH/NAME/config", "ETC/lxc/default.conf"];
const GLOBAL_SYNOPSIS: &[&str] = &["ETC/lxc/lxc.conf", "$HOME/.config/lxc/lxc.conf"];

const DESCRIPTION: &[&str] = &[
    "Each container has a directory with a file `config` in it, which says all there is to say about \
     the container. New containers begin with what `default.conf` says.",
];

const FORMAT: &[&str] = &[
    "Each line is one assignment, `KEY = VALUE`. Blanks around key and value do not count, and \
     neither does one pair of equal quotes around the value. There are no escapes, no sections, no \
     lines that go on in the next one, and no variables.",
    "A line that begins with `#` is a comment; a `#` further on is part of the value. Lines that \
     begin with anything else than `lxc.` are ignored. Both are kept when the file is saved.",
    "A key with one value takes the last one assigned; a key that is a list grows with each line. \
     `KEY =` with nothing behind it takes back what was said before: the value becomes the default \
     again, the list empty.",
    "A line that is wrong makes the whole file refused, with its number and with what would be \
     right. The names that LXC 2 had for keys are such lines; lxc-update-config rewrites them.",
    "`lxc.include = PATH` reads another file in this place, or, if PATH is a directory, all of its \
     files whose names end in `.conf`, by name. A directory that does not exist is empty. Saving \
     keeps the line and not what it stands for.",
];

const VALUES: &[(&str, &str)] = &[
    ("numbers", "Decimal, hexadecimal after 0x, octal after 0."),
    ("switches", "1 is on, 0 is off."),
    (
        "sizes",
        "A number of bytes, or of kB, MB or GB, each 1024 times the one before, or `auto` for \
         128 kB. Sizes are rounded up to a power of two, and to 4096 at least.",
    ),
    (
        "paths",
        "Less than 4096 bytes. They are not looked up before they are used.",
    ),
    (
        "signals",
        "A number, or a name such as SIGPWR or SIGRTMIN+3 in upper or lower case.",
    ),
    (
        "commands",
        "Split at blanks as a shell does: quotes and backslashes protect, nothing is replaced. \
         Hooks are given to /bin/sh whole.",
    ),
];

const KEYS: &[&str] = &[
    "N is the number of a network device, NS a namespace (user, mnt, pid, uts, ipc, net, cgroup or \
     time); FILE and NAME are names of your choice.",
    "A key that is marked as not carried out yet is stored, shown and saved like all others, but \
     starting the container refuses it by name unless it has its default.",
];

const EXAMPLE: &[&str] = &[
    "lxc.rootfs.path = dir:/var/lib/lxc/demo/rootfs",
    "lxc.uts.name = demo",
    "lxc.net.0.type = veth",
    "lxc.net.0.link = lxcbr0",
    "lxc.net.0.flags = up",
    "lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed",
    "lxc.mount.entry = /srv srv none bind,create=dir 0 0",
    "lxc.cap.drop = sys_module sys_time",
];

const GLOBAL_DESCRIPTION: &[&str] = &[
    "These settings belong to the installation and not to one container. Root has one file, every \
     other user a file of its own; it need not exist.",
    "Each line is `KEY = VALUE`, and of several lines for a key the first counts. Blanks around key \
     and value do not count. A `#` in the first column begins a comment. Unknown keys and empty \
     values mean nothing. lxc-config prints what is in effect.",
];

fn head(name: &str, purpose: &str, files: &[&str]) -> String {
    let title = escaped(&name.to_uppercase());
    let (name, purpose) = (escaped(name), escaped(purpose));
    let mut page =
        format!(".TH {title} 5 \"\" \"LXC\" \"\"\n.nh\n.SH NAME\n{name} \\- {purpose}\n");
    page.push_str(".SH SYNOPSIS\n");
    for (index, file) in files.iter().enumerate() {
        let between = if index > 0 { ".br\n" } else { "" };
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(page, "{between}.I {}", escaped(file));
    }
    page
}

fn section(page: &mut String, title: &str, paragraphs: &[&str]) {
    let _ = writeln!(page, ".SH {title}");
    for (index, text) in paragraphs.iter().enumerate() {
        if index > 0 {
            page.push_str(".PP\n");
        }
        text_line(page, text);
    }
}

fn tagged(page: &mut String, title: &str, entries: &[(&str, &str)]) {
    section(page, title, &[]);
    for (word, text) in entries {
        tag(page, word);
        text_line(page, text);
    }
}

fn key(page: &mut String, row: &KeyDoc) {
    tag(page, &row.key);
    let mut sentences = vec![row.doc.to_owned()];
    let values: Vec<String> = row
        .examples
        .iter()
        .map(|(value, _)| format!("`{}`", value.replace('\t', " ")))
        .collect();
    if !values.is_empty() {
        sentences.push(format!("For example {}.", values.join(", ")));
    }
    if let Some(default) = &row.default {
        let default = default.trim_end_matches('\n');
        sentences.push(format!("Default: `{default}`."));
    }
    if let Some(since) = row.since {
        sentences.push(format!("Needs Linux {since}."));
    }
    let refused = row.refused_words.iter().map(|word| format!("`{word}`"));
    let refused: Vec<String> = refused.collect();
    if !row.is_implemented {
        sentences.push("Not carried out yet.".to_owned());
    } else if !refused.is_empty() {
        sentences.push(format!("Not carried out yet: {}.", refused.join(", ")));
    }
    text_line(page, &sentences.join(" "));
}

fn tag(page: &mut String, word: &str) {
    let _ = writeln!(page, ".TP\n\\fB{}\\fR", escaped(word));
}

fn literal(page: &mut String, lines: &[&str]) {
    page.push_str(".nf\n");
    for line in lines {
        let _ = writeln!(page, "{}", escaped(line));
    }
    page.push_str(".fi\n");
}

/// One line of text; what stands between backquotes is set in bold.
fn text_line(page: &mut String, text: &str) {
    let mut line = String::new();
    for (index, part) in text.split('`').enumerate() {
        match index % 2 {
            0 => line.push_str(&escaped(part)),
            _ => line.push_str(&format!("\\fB{}\\fR", escaped(part))),
        }
    }
    let _ = writeln!(page, "{}", roff::line(&line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roff_sees_only_what_is_meant_for_it() {
        let mut page = String::new();
        text_line(&mut page, ".conf is `a-b` here");
        assert_eq!(page, "\\&.conf is \\fBa\\-b\\fR here\n");
    }

    #[test]
    fn every_key_has_its_entry() {
        let page = manual();
        for row in documentation() {
            let entry = format!("\n.TP\n\\fB{}\\fR\n", escaped(&row.key));
            assert_eq!(page.matches(&entry).count(), 1, "{}", row.key);
        }
        let page = global_manual();
        for row in GLOBAL_KEYS {
            assert!(page.contains(&escaped(row.key)), "{}", row.key);
        }
    }
}
