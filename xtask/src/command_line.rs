//! From the words after `cargo xtask` to the command that they name.

use std::process::ExitCode;

use crate::project::{Outcome, Project};

/// One command: its word, its help, what runs it.
pub struct Row {
    pub word: &'static str,
    pub help: &'static [&'static str],
    pub run: fn(&Project, &[String]) -> Outcome,
}

/// Writes the table of commands; the doc comment of a row is its help.
macro_rules! commands {
    ($($(#[doc = $help:literal])+ $word:literal => $run:path;)+) => {
        const COMMANDS: &[crate::command_line::Row] = &[
            $(crate::command_line::Row { word: $word, help: &[$($help),+], run: $run },)+
        ];
    };
}
pub(crate) use commands;

/// A failure that the command itself has told the user about, and the exit status for it.
#[derive(Debug)]
pub struct Told(pub u8);

impl std::error::Error for Told {}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("shown above")
    }
}

/// Runs the command named by the first argument. Exit status: 0 done, 1 failed, 2 misused; others
/// are the command's own.
pub fn run(commands: &[Row]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(word) = arguments.first() else {
        eprint!("{}", help(commands));
        return ExitCode::from(2);
    };
    if matches!(word.as_str(), "help" | "--help" | "-h") {
        print!("{}", help(commands));
        return ExitCode::SUCCESS;
    }
    let Some(row) = commands.iter().find(|row| row.word == word) else {
        eprint!("xtask: there is no command `{word}`\n\n{}", help(commands));
        return ExitCode::from(2);
    };
    match Project::find().and_then(|project| (row.run)(&project, &arguments[1..])) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref() {
            Some(Told(status)) => ExitCode::from(*status),
            None => {
                eprintln!("xtask {word}: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

/// Refuses arguments to a command that takes none.
pub fn no_arguments(arguments: &[String]) -> Outcome {
    match arguments.first() {
        None => Ok(()),
        Some(first) => Err(format!("takes no arguments, got `{first}`").into()),
    }
}

fn help(commands: &[Row]) -> String {
    let mut text = String::from("Usage: cargo xtask COMMAND\n\n");
    for row in commands {
        for (line, words) in row.help.iter().enumerate() {
            let word = if line == 0 { row.word } else { "" };
            text.push_str(&format!("  {word:<9}{words}\n"));
        }
    }
    text.push_str("  help      Shows this list.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_shows_each_command_with_its_sentence() {
        let rows = [Row {
            word: "sing",
            help: &[" A song.", " Loudly."],
            run: |_, _| Ok(()),
        }];
        let text = help(&rows);
        assert!(
            text.contains("\n  sing      A song.\n            Loudly.\n"),
            "{text}"
        );
    }

    #[test]
    fn stray_arguments_are_named() {
        assert!(no_arguments(&[]).is_ok());
        let error = no_arguments(&["--fast".to_string()])
            .unwrap_err()
            .to_string();
        assert!(error.contains("--fast"), "{error}");
    }
}
