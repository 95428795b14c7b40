//! What a step does: one thing, with what belongs to it.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::super::form::{CgroupForm, States, StepForm};
use super::super::{Act, State};
use super::Checker;

/// How many seconds wait and reboot wait when the step does not say.
const TIMEOUT: u32 = 10;

impl Checker<'_> {
    /// The one thing that a step does.
    pub(super) fn act(
        &mut self,
        whole: &Range<usize>,
        mut form: StepForm,
        within: Duration,
    ) -> Act {
        let cgroup = form.cgroup.take();
        let Some((verb, object)) = self.verb(whole, &mut form, cgroup.as_ref()) else {
            return Act::Run(String::new());
        };
        self.object(verb, &object);
        let (at, name) = (object.span(), object.into_inner());
        let act = match verb {
            "run" => Act::Run(name),
            "create" => Act::Create(name),
            "start" => Act::Start(name),
            "attach" => Act::Attach {
                name,
                command: self.command(&at, form.command.take()),
            },
            "wait" => Act::Wait {
                name,
                until: self.until(&at, form.until.take()),
                timeout: self.seconds(form.timeout.take(), within).unwrap_or(TIMEOUT),
            },
            "stop" => Act::Stop {
                name,
                timeout: self.seconds(form.timeout.take(), within),
            },
            "reboot" => Act::Reboot {
                name,
                timeout: self.seconds(form.timeout.take(), within).unwrap_or(TIMEOUT),
            },
            "kill" => Act::Kill(name),
            "freeze" => Act::Freeze(name),
            "unfreeze" => Act::Unfreeze(name),
            "cgroup" => self.cgroup(name, cgroup),
            "console_log" => Act::ConsoleLog(name),
            _ => Act::Destroy(name),
        };
        // What its verb has taken is gone from the form.
        let left = [
            ("command", "attach", form.command.map(|it| it.span())),
            ("until", "wait", form.until.map(|it| it.span())),
            (
                "timeout",
                "wait, stop and reboot",
                form.timeout.map(|it| it.span()),
            ),
        ];
        for (field, of, span) in left {
            if let Some(span) = span {
                self.refuse(&span, format!("{field} belongs to {of}, not to {verb}"));
            }
        }
        act
    }

    /// The only verb, and what it is given.
    fn verb(
        &mut self,
        whole: &Range<usize>,
        form: &mut StepForm,
        cgroup: Option<&Spanned<CgroupForm>>,
    ) -> Option<(&'static str, Spanned<String>)> {
        let cgroup = cgroup.map(|form| form.get_ref().name.clone());
        let verbs = [
            ("run", form.run.take()),
            ("create", form.create.take()),
            ("start", form.start.take()),
            ("attach", form.attach.take()),
            ("wait", form.wait.take()),
            ("stop", form.stop.take()),
            ("reboot", form.reboot.take()),
            ("kill", form.kill.take()),
            ("freeze", form.freeze.take()),
            ("unfreeze", form.unfreeze.take()),
            ("cgroup", cgroup),
            ("console_log", form.console_log.take()),
            ("destroy", form.destroy.take()),
        ];
        let names = verbs.each_ref().map(|(verb, _)| *verb).join(", ");
        let mut given = verbs
            .into_iter()
            .filter_map(|(verb, object)| Some((verb, object?)));
        let first = given.next();
        match (&first, given.next()) {
            (None, _) => {
                let what = format!("a step does one thing, and this does none: {names}");
                self.refuse(whole, what);
            }
            (Some((verb, _)), Some((other, object))) => {
                let what = format!("a step does one thing, not {verb} and {other}; write two");
                self.refuse(&object.span(), what);
            }
            (Some(_), None) => {}
        }
        first
    }

    /// Is it what the verb can be given?
    fn object(&mut self, verb: &str, object: &Spanned<String>) {
        let text = object.get_ref();
        match verb {
            "run" => {
                if text.trim().is_empty() || text.contains('\0') {
                    self.refuse(&object.span(), "run is empty, or has a NUL in it");
                }
            }
            "create" => {
                self.name(object);
                if !self.containers.insert(text.clone()) {
                    self.refuse(&object.span(), format!("{text:?} is there already"));
                }
            }
            _ => self.exists(object),
        }
    }

    fn until(&mut self, wait: &Range<usize>, until: Option<Spanned<States>>) -> Vec<State> {
        let until = until.map(|states| states.into_inner().0);
        if until.is_none() {
            self.refuse(
                wait,
                "wait needs until = \"STATE\", or several with | between",
            );
        }
        until.unwrap_or_default()
    }

    fn command(
        &mut self,
        attach: &Range<usize>,
        command: Option<Spanned<Vec<String>>>,
    ) -> Vec<String> {
        let at = command.as_ref().map_or(attach.clone(), Spanned::span);
        let command = command.map(Spanned::into_inner).unwrap_or_default();
        if command.is_empty() || command.iter().any(|word| word.contains('\0')) {
            self.refuse(
                &at,
                "attach needs command = [\"PROGRAM\", …], without a NUL",
            );
        }
        command
    }

    /// Which file, and what is written to it.
    fn cgroup(&mut self, name: String, form: Option<Spanned<CgroupForm>>) -> Act {
        // The verb is this one because there is a form.
        let Some(CgroupForm { file, value, .. }) = form.map(Spanned::into_inner) else {
            return Act::Run(String::new());
        };
        if file.get_ref().is_empty() {
            self.refuse(&file.span(), "cgroup needs a file, like memory.max");
        }
        for word in [Some(&file), value.as_ref()].into_iter().flatten() {
            if word.get_ref().contains('\0') {
                self.refuse(&word.span(), "no word of a command has a NUL in it");
            }
        }
        Act::Cgroup {
            name,
            file: file.into_inner(),
            value: value.map(Spanned::into_inner),
        }
    }

    /// The seconds that a tool waits by itself: fewer than the step may take.
    fn seconds(&mut self, timeout: Option<Spanned<u32>>, within: Duration) -> Option<u32> {
        let timeout = timeout?;
        let seconds = *timeout.get_ref();
        if Duration::from_secs(seconds.into()) >= within {
            let what = format!(
                "a timeout of {seconds} s ends after the step, which has {within:?}; say within = \"…s\""
            );
            self.refuse(&timeout.span(), what);
        }
        Some(seconds)
    }
}
