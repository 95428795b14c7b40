//! Which tool a program name means, and the frame in which every tool runs.

use std::fmt::Write;

use crate::applets;
use crate::failure::Failure;
use crate::help::{self, Table, Words};
use crate::invocation::{COMMON, Common};
use crate::manual;
use crate::options::{self, Effect, Opt, Text};
use crate::output;
use crate::templates;

/// One tool: the value collects its options, then runs.
pub trait Applet: Default + 'static {
    /// The texts around the options.
    const WORDS: Words;
    /// Its own options.
    const OPTIONS: &'static [Opt<Self>];
    /// Whether it works on one container, whose name has to be given.
    const NEEDS_NAME: bool = true;
    /// Whether `-P` may be given more than once.
    const MANY_LXCPATHS: bool = false;

    /// Does the work. `rest` are the words that are neither options nor the name.
    fn run(self, common: &mut Common, rest: Vec<String>) -> Result<u8, Failure>;

    /// What `--help` prints behind the help, given the options before it.
    fn after_help(&self) {}
}

/// A name of the program, what its texts are made of, and what runs under it.
pub struct Entry {
    pub words: &'static Words,
    pub table: fn() -> Table,
    pub run: fn(Vec<String>) -> u8,
}

const fn entry<A: Applet>() -> Entry {
    Entry {
        words: &A::WORDS,
        table: table::<A>,
        run: frame::<A>,
    }
}

fn table<A: Applet>() -> Table {
    Table {
        own: A::OPTIONS.iter().map(Opt::form).collect(),
        common: COMMON.iter().map(Opt::form).collect(),
    }
}

/// The tools, by name.
const TOOLS: &[Entry] = &[
    entry::<applets::attach::Attach>(),
    entry::<applets::autostart::Autostart>(),
    entry::<applets::cgroup::Cgroup>(),
    applets::config::ENTRY,
    entry::<applets::console::Console>(),
    entry::<applets::create::Create>(),
    entry::<applets::destroy::Destroy>(),
    entry::<applets::execute::Execute>(),
    entry::<applets::freeze::Freeze>(),
    entry::<applets::info::Info>(),
    entry::<applets::ls::Ls>(),
    entry::<applets::monitor::Monitor>(),
    entry::<applets::start::Start>(),
    entry::<applets::stop::Stop>(),
    entry::<applets::top::Top>(),
    entry::<applets::unfreeze::Unfreeze>(),
    entry::<applets::unshare::Unshare>(),
    applets::update_config::ENTRY,
    applets::usernsexec::ENTRY,
    entry::<applets::wait::Wait>(),
];

/// Programs that tools call, by name; they lie in libexec.
const HELPERS: &[Entry] = &[applets::monitord::ENTRY];

/// The templates, by name.
const TEMPLATES: &[Entry] = &[templates::busybox::ENTRY];

/// Runs what the program's name, argv's first word, and `words` ask for and returns the exit status.
pub fn dispatch(program: &str, mut words: Vec<String>) -> u8 {
    let base = program.rsplit('/').next().unwrap_or_default();
    if let Some(entry) = TOOLS
        .iter()
        .chain(HELPERS)
        .chain(TEMPLATES)
        .find(|entry| entry.words.program == base)
    {
        return (entry.run)(words);
    }
    let Some(name) = words.first() else {
        output::complain(&known_commands());
        return 1;
    };
    // For an installation, not for people: names to link, and manual pages to write.
    let text = match (name.as_str(), words.get(1)) {
        ("--applets", _) => Some(Ok(link_names())),
        ("--man", page) => Some(manual::answer(TOOLS, page.map(String::as_str))),
        _ => None,
    };
    if let Some(text) = text {
        let printed = text.and_then(|text| output::print(&text)).map(|()| 0);
        return finish(printed, &Common::default());
    }
    if let Some(entry) = TOOLS.iter().find(|entry| short_name(entry) == name) {
        words.remove(0);
        return (entry.run)(words);
    }
    let asked_for_help = matches!(name.as_str(), "-h" | "--help");
    let complaint = if asked_for_help {
        String::new()
    } else {
        format!("Unsupported command '{name}'\n")
    };
    output::complain(&format!("{complaint}{}", known_commands()));
    1
}

/// Runs a template of this program by its short name; false if there is none of that name.
pub fn run_template(name: &str, words: &[&str]) -> bool {
    let entry = TEMPLATES.iter().find(|entry| short_name(entry) == name);
    if let Some(entry) = entry {
        (entry.run)(words.iter().map(ToString::to_string).collect());
    }
    entry.is_some()
}

fn short_name(entry: &Entry) -> &'static str {
    let program = entry.words.program;
    program.strip_prefix("lxc-").unwrap_or(program)
}

fn known_commands() -> String {
    let mut text = String::from(
        "This program is all of LXC's tools: call it by the name of one (lxc-COMMAND), or as\n\
         lxc COMMAND [ARGUMENTS].\n\nKnown commands:",
    );
    for entry in TOOLS {
        let _ = write!(text, "\n  {}", short_name(entry));
    }
    text
}

/// The names under which an installation links the program.
fn link_names() -> String {
    let tools = TOOLS
        .iter()
        .map(|entry| format!("{}\n", entry.words.program));
    let templates = TEMPLATES
        .iter()
        .map(|entry| format!("templates/{}\n", entry.words.program));
    let helpers = HELPERS
        .iter()
        .map(|entry| format!("libexec/{}\n", entry.words.program));
    tools.chain(helpers).chain(templates).collect()
}

/// What the options of a command line amount to.
enum Outcome {
    /// Run the tool.
    Run,
    /// A text was asked for.
    Text(Text),
    /// The command line is refused in getopt's manner: a message, then the help.
    Mistake(String),
}

fn frame<A: Applet>(words: Vec<String>) -> u8 {
    let table = table::<A>();
    let forms: Vec<_> = table.own.iter().chain(&table.common).copied().collect();
    let stop_at_word = std::env::var_os("POSIXLY_CORRECT").is_some();
    let found = options::matched(&forms, words, stop_at_word);

    let mut applet = A::default();
    let mut common = Common::of(A::WORDS.program, A::MANY_LXCPATHS);
    let outcome = match apply(&mut applet, &mut common, found.given, found.mistake) {
        Ok(outcome) => outcome,
        Err(refusal) => return finish(Err(Failure::new(refusal)), &common),
    };
    match outcome {
        Outcome::Run => {}
        Outcome::Text(Text::Version) => {
            return finish(
                output::print(&format!("{}\n", lxc_runtime::LXC_VERSION)).map(|()| 0),
                &common,
            );
        }
        Outcome::Text(Text::Usage) => {
            output::complain(help::usage(A::WORDS.program, &table).trim_end_matches('\n'));
            return 0;
        }
        Outcome::Text(text) => {
            output::complain(help::help(&A::WORDS, &table).trim_end_matches('\n'));
            applet.after_help();
            return u8::from(text != Text::Help);
        }
        Outcome::Mistake(mistake) => {
            output::complain(&format!("{}: {mistake}", A::WORDS.program));
            output::complain(help::help(&A::WORDS, &table).trim_end_matches('\n'));
            return 1;
        }
    }

    let mut rest = found.rest;
    if A::NEEDS_NAME && common.name.is_none() {
        if rest.is_empty() {
            return finish(Err(Failure::new("No container name specified")), &common);
        }
        common.name = Some(rest.remove(0));
    }
    let result = applet.run(&mut common, rest);
    finish(result, &common)
}

/// Applies the options in their order. An option that cannot be honoured is refused at the end, so
/// that `--help` behind it still helps.
fn apply<A: Applet>(
    applet: &mut A,
    common: &mut Common,
    given: Vec<options::Given>,
    mistake: Option<String>,
) -> Result<Outcome, String> {
    let mut refusal = None;
    for options::Given { row, value } in given {
        let text = match A::OPTIONS.get(row) {
            Some(opt) => effect(opt, applet, value.as_deref(), &mut refusal)?,
            None => effect(
                &COMMON[row - A::OPTIONS.len()],
                common,
                value.as_deref(),
                &mut refusal,
            )?,
        };
        if let Some(text) = text {
            return Ok(Outcome::Text(text));
        }
    }
    match (mistake, refusal) {
        (Some(mistake), _) => Ok(Outcome::Mistake(mistake)),
        (None, Some(refusal)) => Err(refusal),
        (None, None) => Ok(Outcome::Run),
    }
}

fn effect<T>(
    opt: &Opt<T>,
    target: &mut T,
    value: Option<&str>,
    refusal: &mut Option<String>,
) -> Result<Option<Text>, String> {
    match opt.effect {
        Effect::Flag(set) => set(target),
        Effect::Value(_, set) => set(target, value.unwrap_or_default())?,
        Effect::Optional(_, set) => set(target, value)?,
        Effect::Later(_, what) => {
            refusal.get_or_insert_with(|| {
                format!("--{} is refused: {what} not implemented yet", opt.long)
            });
        }
        Effect::Text(text) => return Ok(Some(text)),
    }
    Ok(None)
}

/// Prints a failure, once, and turns the result into the exit status.
fn finish(result: Result<u8, Failure>, common: &Common) -> u8 {
    match result {
        Ok(code) => code,
        Err(failure) => {
            if !common.quiet {
                tell(common, &failure.text);
            }
            failure.code
        }
    }
}

/// Prints a message of a tool, headed by its name and that of the container.
pub fn tell(common: &Common, text: &str) {
    let program = if common.program.is_empty() {
        "lxc"
    } else {
        common.program
    };
    match &common.name {
        Some(name) if !name.is_empty() => {
            output::complain(&format!("{program}: {name}: {text}"));
        }
        _ => output::complain(&format!("{program}: {text}")),
    }
}
