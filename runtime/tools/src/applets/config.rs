//! lxc-config: prints settings of the installation.

use crate::applet::Entry;
use crate::failure::Failure;
use crate::help::{self, Table, Words};
use crate::options::{Form, Short, Takes};
use crate::output;

/// The tool among the names of the program. It has none of the options that all others have.
pub const ENTRY: Entry = Entry {
    words: &WORDS,
    table,
    run,
};

const WORDS: Words = Words {
    program: "lxc-config",
    synopsis: "-l | ITEM",
    about: "lxc-config prints a setting of the installation: what lxc.conf says, or else its default.",
    notes: "The beginning of an ITEM will do: it means the first in the list that begins so.",
};

/// What can be asked for, in the order that decides what a beginning means.
const ITEMS: [&str; 7] = [
    "lxc.default_config",
    "lxc.lxcpath",
    "lxc.bdev.lvm.vg",
    "lxc.bdev.lvm.thin_pool",
    "lxc.bdev.zfs.root",
    "lxc.cgroup.use",
    "lxc.cgroup.pattern",
];

fn table() -> Table {
    let row = |long, short, help| Form {
        long,
        short: Short::Listed(short),
        takes: Takes::Nothing,
        help,
        later: false,
    };
    Table {
        own: vec![
            row("list", 'l', "List the items that can be asked for"),
            row("help", 'h', "Print this help"),
        ],
        common: Vec::new(),
    }
}

/// Only the first word counts.
fn run(words: Vec<String>) -> u8 {
    let word = words.first().map_or("", String::as_str);
    match answer(word).and_then(|(text, code)| output::print(&text).map(|()| code)) {
        Ok(code) => code,
        Err(failure) => {
            output::complain(&format!("{}: {}", WORDS.program, failure.text));
            failure.code
        }
    }
}

/// What is printed on standard output, and the exit status.
fn answer(word: &str) -> Result<(String, u8), Failure> {
    if ["-h", "--help"].iter().any(|help| help.starts_with(word)) {
        return Ok((help::help(&WORDS, &table()), 0));
    }
    if ["-l", "--list"].contains(&word) {
        return Ok((ITEMS.map(|item| format!("{item}\n")).concat(), 0));
    }
    let Some(item) = ITEMS.iter().find(|item| item.starts_with(word)) else {
        return Ok((format!("Unknown configuration item: {word}\n"), 1));
    };
    let text = match lxc_runtime::global_item(item)? {
        Some(value) => format!("{value}\n"),
        None => format!("{word} is not set.\n"),
    };
    Ok((text, 0))
}
