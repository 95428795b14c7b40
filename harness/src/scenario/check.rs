//! From what a file says to what is meant: every value is looked at, every mistake is kept.

mod act;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use lxc_guest::protocol::{Container, Layout, Placed, Rootfs, User};
use toml::Spanned;

use super::form::{ContainerForm, ExpectForm, LeftForm, OneOrMany, ScenarioForm, StepForm};
use super::load::{Source, Wrong};
use super::requirement;
use super::{Allowed, Door, Ending, Expected, Prepared, Scenario, Step, Subject, Text, Way};

/// How long a step may take when it does not say: starts are slow where the processor is emulated.
const WITHIN: Duration = Duration::from_secs(20);

/// Longer names do not fit into the name of a monitor's socket, with LXC's path before them.
const LONGEST_NAME: usize = 64;

/// The scenario that `form`, read from `source`, describes; else all that is wrong with it.
pub fn scenario(
    source: &Source,
    form: ScenarioForm,
    kernels: &[&str],
    everywhere: &[Allowed],
) -> Result<Scenario, Vec<Wrong>> {
    let mut checker = Checker {
        source,
        wrong: Vec::new(),
        containers: BTreeSet::new(),
        prepared: Vec::new(),
        subjects: BTreeSet::new(),
    };
    let scenario = checker.scenario(form, kernels, everywhere);
    match checker.wrong.is_empty() {
        true => Ok(scenario),
        false => Err(checker.wrong),
    }
}

/// What is allowed to be left behind, in a scenario or for a subject everywhere.
pub fn allowed(
    source: &Source,
    forms: Vec<Spanned<LeftForm>>,
    wrong: &mut Vec<Wrong>,
) -> Vec<Allowed> {
    let mut one = |form: Spanned<LeftForm>| {
        let at = source.at(&form.span());
        let form = form.into_inner();
        let kind = form
            .what
            .get_ref()
            .split(' ')
            .find(|word| !["gone", "changed"].contains(word));
        if !["process", "cgroup", "mount", "link", "file", "kernel"].contains(&kind.unwrap_or("")) {
            let what = "a pattern begins with process, cgroup, mount, link, file or kernel, after \
                        `gone` or `changed` where it is that";
            wrong.push(source.wrong(&form.what.span(), what));
        }
        if form.why.get_ref().trim().is_empty() {
            wrong.push(source.wrong(&form.why.span(), "say why this may be left behind"));
        }
        Allowed {
            at,
            what: form.what.into_inner(),
            why: form.why.into_inner(),
            subject: form.subject,
        }
    };
    forms.into_iter().map(&mut one).collect()
}

/// The words of a sentence as a file's name has them: small, with dashes between.
fn dashed(sentence: &str) -> String {
    let letters = sentence.chars().filter(|c| *c != '\'');
    let words: String = letters
        .map(|c| match c.is_ascii_alphanumeric() {
            true => c.to_ascii_lowercase(),
            false => ' ',
        })
        .collect();
    words.split_whitespace().collect::<Vec<_>>().join("-")
}

struct Checker<'a> {
    source: &'a Source,
    wrong: Vec<Wrong>,
    /// Names of containers that a verb may name at this step.
    containers: BTreeSet<String>,
    prepared: Vec<Prepared>,
    subjects: BTreeSet<Subject>,
}

impl Checker<'_> {
    fn refuse(&mut self, span: &Range<usize>, what: impl Into<String>) {
        self.wrong.push(self.source.wrong(span, what));
    }

    fn scenario(
        &mut self,
        form: ScenarioForm,
        kernels: &[&str],
        everywhere: &[Allowed],
    ) -> Scenario {
        let title = self.title(form.title);
        let kernels = self.kernels(form.kernels, kernels);
        let layouts = vec![Layout::V1, Layout::Hybrid, Layout::V2];
        let cgroups = self.set("cgroups", form.cgroups, layouts);
        let subjects_at = form.subjects.as_ref().map(Spanned::span);
        self.subjects = self.set("subjects", form.subjects, Subject::ALL.to_vec());
        let doors_at = form.doors.as_ref().map(Spanned::span);
        let doors = self.set("doors", form.doors, vec![Door::Tools]);
        let files = form.files.into_iter();
        let files = files
            .map(|(path, content)| self.placed(path, content))
            .collect();
        let mut containers = Vec::new();
        for (name, container) in form.container {
            containers.push(self.container(&name, container));
        }
        if form.step.is_empty() {
            self.refuse(
                &(0..0),
                "there is no [[step]]: a scenario without steps shows nothing",
            );
        }
        let steps: Vec<Step> = form.step.into_iter().map(|step| self.step(step)).collect();
        if let Some(at) = doors_at {
            self.doors(&at, &doors, &steps);
        }
        if doors.contains(&Door::Tools) {
            self.tools(&steps);
        }
        self.everybody_has_steps(subjects_at, &steps);
        let mut own = allowed(self.source, form.after.left_behind, &mut self.wrong);
        own.extend(everywhere.iter().cloned());
        Scenario {
            file: self.source.file.clone(),
            area: self.source.area.clone(),
            name: self.source.name.clone(),
            title,
            kernels,
            cgroups,
            needs: form.needs,
            ways: ways(&self.subjects, &doors),
            ci: form.ci.unwrap_or(false),
            files,
            containers,
            prepared: std::mem::take(&mut self.prepared),
            steps,
            allowed: own,
        }
    }

    fn title(&mut self, title: Spanned<String>) -> String {
        let dashed = dashed(title.get_ref());
        let name = &self.source.name;
        let begins = dashed.strip_prefix(name.as_str());
        if !begins.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) || name.is_empty() {
            let what = format!(
                "the title and the file's name begin with the same words: {name} here, {dashed} there"
            );
            self.refuse(&title.span(), what);
        }
        title.into_inner()
    }

    fn kernels(
        &mut self,
        wanted: Option<Spanned<Vec<Spanned<String>>>>,
        kernels: &[&str],
    ) -> BTreeSet<String> {
        let Some(wanted) = wanted else {
            return kernels.iter().map(|kernel| (*kernel).to_owned()).collect();
        };
        if wanted.get_ref().is_empty() {
            self.refuse(
                &wanted.span(),
                "kernels is empty; leave it out for all of them",
            );
        }
        let mut meant = BTreeSet::new();
        for one in wanted.into_inner() {
            match requirement::meant(one.get_ref(), kernels) {
                Ok(found) => meant.extend(found.into_iter().map(String::from)),
                Err(what) => self.refuse(&one.span(), what),
            }
        }
        meant
    }

    /// A list that is not empty and names nothing twice; without one, `everything`.
    fn set<T: Ord>(
        &mut self,
        field: &str,
        given: Option<Spanned<Vec<T>>>,
        everything: Vec<T>,
    ) -> BTreeSet<T> {
        let Some(given) = given else {
            return everything.into_iter().collect();
        };
        let (at, given) = (given.span(), given.into_inner());
        let count = given.len();
        let set: BTreeSet<T> = given.into_iter().collect();
        if set.is_empty() {
            self.refuse(
                &at,
                format!("{field} is empty; leave it out for what is usual"),
            );
        } else if set.len() < count {
            self.refuse(&at, format!("{field} names something twice"));
        }
        set
    }

    /// Not every verb has a tool.
    fn tools(&mut self, steps: &[Step]) {
        let toolless = |step: &&Step| matches!(step.act, super::Act::ConsoleLog(_));
        if let Some(step) = steps.iter().find(toolless) {
            let what = format!("no tool reads a console's buffer, as {} does", step.at);
            self.refuse(&(0..0), what);
        }
    }

    fn doors(&mut self, at: &Range<usize>, doors: &BTreeSet<Door>, steps: &[Step]) {
        for door in doors.iter().filter(|door| **door != Door::Tools) {
            // The C library is everybody's, the Rust one ours only.
            let mut taken = steps
                .iter()
                .filter(|step| *door == Door::C || step.only != Some(Subject::DebianLxc));
            let tool =
                taken.find_map(|step| Some((step.at.clone(), step.act.tool(*door)?.to_owned())));
            if let Some((step, tool)) = tool {
                let what =
                    format!("the {door}'s door has no {tool}, which {step} names; use a verb");
                self.refuse(at, what);
            }
        }
        if !doors.contains(&Door::Library) {
            return;
        }
        if !self.subjects.contains(&Subject::Ours) {
            self.refuse(
                at,
                "only \"ours\" has the library's door; it is not in subjects",
            );
        } else if doors.len() == 1 && self.subjects.contains(&Subject::DebianLxc) {
            self.refuse(
                at,
                "\"debian-lxc\" has no Rust library; say subjects = [\"ours\"]",
            );
        }
    }

    fn everybody_has_steps(&mut self, at: Option<Range<usize>>, steps: &[Step]) {
        for subject in self.subjects.clone() {
            let takes = |step: &Step| step.only.is_none_or(|only| only == subject);
            if !steps.is_empty() && !steps.iter().any(takes) {
                let what = format!("no step is for {subject}; take it out of subjects");
                self.refuse(&at.clone().unwrap_or(0..0), what);
            }
        }
    }

    fn container(&mut self, name: &Spanned<String>, form: ContainerForm) -> Container {
        self.name(name);
        self.containers.insert(name.get_ref().clone());
        let mut files = BTreeMap::new();
        for (path, content) in form.files {
            self.path(&path);
            files.insert(path.into_inner(), content);
        }
        let name = name.get_ref().clone();
        let rootfs = format!("{}/{name}/rootfs", form.owner.lxcpath());
        if let Some(prepare) = form.prepare {
            let at = self.source.at(&prepare.span());
            if prepare.get_ref().trim().is_empty() || form.rootfs == Rootfs::None {
                let what = "prepare is run in the rootfs: it needs a line, and the container one";
                self.refuse(&prepare.span(), what);
            }
            self.prepared.push(Prepared {
                at,
                rootfs: rootfs.clone(),
                script: prepare.into_inner(),
            });
        }
        if let Some(shift) = form.shift.as_ref().filter(|shift| *shift.get_ref() == 0) {
            self.refuse(&shift.span(), "a shift of 0 moves nothing; leave it out");
        }
        Container {
            config: format!("{}{}", beginning(&name, &rootfs), form.config),
            name,
            rootfs: form.rootfs,
            files,
            owner: form.owner,
            shift: form.shift.map(Spanned::into_inner).unwrap_or_default(),
        }
    }

    /// A file of the machine itself; what is in somebody's home is that user's.
    fn placed(&mut self, path: Spanned<String>, content: String) -> Placed {
        let text = path.get_ref();
        let odd = |part: &str| part.is_empty() || part == "." || part == "..";
        let below = text.strip_prefix('/');
        if below.is_none_or(|below| below.split('/').any(odd)) || text.contains('\0') {
            let what = format!("{text:?} is no absolute path in its simplest form, like /etc/file");
            self.refuse(&path.span(), what);
        }
        let at_home = |user: &User| Path::new(text).starts_with(user.home());
        let owner = User::ALL.into_iter().find(at_home).unwrap_or_default();
        Placed {
            path: path.into_inner(),
            content,
            owner,
        }
    }

    fn name(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !begins || !text.chars().all(good) || text.len() > LONGEST_NAME {
            let what = format!(
                "{text:?} is no name of a container; letters, digits, `-`, `_` and `.`, at most {LONGEST_NAME}"
            );
            self.refuse(&name.span(), what);
        }
    }

    /// Below the container's directory, and no file that is made anyhow.
    fn path(&mut self, path: &Spanned<String>) {
        let text = path.get_ref();
        let odd = |part: &str| part.is_empty() || part == "." || part == "..";
        if text.split('/').any(odd) || text.contains('\0') {
            let what =
                format!("{text:?} is no path below the container's directory, like hooks/fail");
            self.refuse(&path.span(), what);
        } else if text == "config" || text == "rootfs" {
            let what =
                format!("{text} is made from what stands beside files; use a path of another name");
            self.refuse(&path.span(), what);
        }
    }

    fn step(&mut self, form: Spanned<StepForm>) -> Step {
        let whole = form.span();
        let at = self.source.at(&whole);
        let mut form = form.into_inner();
        let common = form.take_expectations();
        let (ours, debian_lxc) = (form.ours.take(), form.debian_lxc.take());
        let within = form.within.map_or(WITHIN, |within| within.0);
        let only = form.only.take();
        if let Some(only) = &only {
            self.is_subject(*only.get_ref(), &only.span());
        }
        let stdin = form.stdin.take().map(Spanned::into_inner);
        let user = form.user;
        let act = self.act(&whole, form, within);
        let everybody = Expected {
            differs: None,
            ending: Ending::Exit(vec![0]),
            stdout: Text::default(),
            stderr: Text::default(),
            states: BTreeMap::new(),
        };
        let expected = self.expected(&everybody, common);
        let only = only.map(Spanned::into_inner);
        let mut special = |subject, form| self.special(&expected, subject, only, form);
        let ours = special(Subject::Ours, ours);
        let debian_lxc = special(Subject::DebianLxc, debian_lxc);
        Step {
            at,
            act,
            stdin: stdin.unwrap_or_default(),
            within,
            only,
            user,
            ours,
            debian_lxc,
            expected,
        }
    }

    fn is_subject(&mut self, subject: Subject, span: &Range<usize>) {
        if !self.subjects.contains(&subject) {
            let what = format!("{subject} is not in subjects: it would never be looked at");
            self.refuse(span, what);
        }
    }

    /// What `subject` must bring: what everybody must and more, or, with a reason, something else.
    fn special(
        &mut self,
        everybody: &Expected,
        subject: Subject,
        only: Option<Subject>,
        form: Option<Spanned<ExpectForm>>,
    ) -> Expected {
        let Some(form) = form else {
            return everybody.clone();
        };
        let (at, form) = (form.span(), form.into_inner());
        self.is_subject(subject, &at);
        if only.is_some() {
            self.refuse(
                &at,
                "this step is for one subject only; what it expects stands in the step",
            );
        }
        let replaces = form.exit.is_some() || form.signal.is_some() || form.state.is_some();
        let Some(reason) = &form.differs else {
            if replaces {
                let what = "exit, signal and state stand in the step, for everybody; where one \
                            subject is known to do otherwise, say why: differs = \"…\"";
                self.refuse(&at, what);
            }
            return self.expected(everybody, form);
        };
        if subject == Subject::Ours {
            let what = "ours never differs: what it does stands in the step, what the other does \
                        below debian-lxc";
            self.refuse(&reason.span(), what);
        }
        if reason.get_ref().trim().is_empty() {
            self.refuse(&reason.span(), "say what differs, and why");
        }
        let nothing = Expected {
            differs: Some(reason.get_ref().clone()),
            ending: Ending::Exit(vec![0]),
            stdout: Text::default(),
            stderr: Text::default(),
            states: BTreeMap::new(),
        };
        let expected = self.expected(&nothing, form);
        if expected == nothing
            && *everybody
                == (Expected {
                    differs: None,
                    ..nothing
                })
        {
            self.refuse(
                &at,
                "this is what everybody does; say what differs: exit, stderr, state",
            );
        }
        expected
    }

    /// `base`, and what `form` adds to it or replaces in it.
    fn expected(&mut self, base: &Expected, form: ExpectForm) -> Expected {
        let mut expected = base.clone();
        match (form.exit, form.signal) {
            (Some(_), Some(signal)) => {
                self.refuse(
                    &signal.span(),
                    "a command ends by exit or by signal, not by both",
                );
            }
            (Some(exit), None) => expected.ending = Ending::Exit(self.statuses(exit)),
            (None, Some(signal)) => {
                if !(1..=64).contains(signal.get_ref()) {
                    let what = format!("{} is no signal; they go from 1 to 64", signal.get_ref());
                    self.refuse(&signal.span(), what);
                }
                expected.ending = Ending::Signal(signal.into_inner());
            }
            (None, None) => {}
        }
        let add = |text: &mut Text,
                   is: Option<Spanned<String>>,
                   contains: Option<OneOrMany<String>>,
                   lacks: Option<OneOrMany<String>>| {
            text.is = is.map(Spanned::into_inner).or(text.is.take());
            text.contains.extend(contains.unwrap_or_default().0);
            text.lacks.extend(lacks.unwrap_or_default().0);
        };
        add(
            &mut expected.stdout,
            form.stdout_is,
            form.stdout,
            form.stdout_not,
        );
        add(
            &mut expected.stderr,
            form.stderr_is,
            form.stderr,
            form.stderr_not,
        );
        for (name, state) in form.state.map(Spanned::into_inner).unwrap_or_default() {
            self.exists(&name);
            expected.states.insert(name.into_inner(), state);
        }
        expected
    }

    fn statuses(&mut self, exit: Spanned<OneOrMany<i32>>) -> Vec<i32> {
        let at = exit.span();
        let statuses = exit.into_inner().0;
        if statuses.is_empty() || !statuses.iter().all(|status| (0..=255).contains(status)) {
            self.refuse(&at, "exit is a status, or a list of some, from 0 to 255");
        }
        statuses
    }

    fn exists(&mut self, name: &Spanned<String>) {
        if !self.containers.contains(name.get_ref()) {
            let text = name.get_ref();
            let what = format!(
                "no container is called {text:?}; write [container.{text}], or create it first"
            );
            self.refuse(&name.span(), what);
        }
    }
}

/// Each subject through each door it has.
fn ways(subjects: &BTreeSet<Subject>, doors: &BTreeSet<Door>) -> Vec<Way> {
    let mut ways = Vec::new();
    for &subject in subjects {
        for &door in doors {
            if door != Door::Library || subject == Subject::Ours {
                ways.push(Way { subject, door });
            }
        }
    }
    ways
}

/// What every container's configuration begins with.
///
/// No profile: the machines load none, and where AppArmor is on LXC's own default would be missing.
fn beginning(name: &str, rootfs: &str) -> String {
    format!(
        "lxc.rootfs.path = dir:{rootfs}\n\
         lxc.uts.name = {name}\n\
         lxc.apparmor.profile = unconfined\n\
         lxc.signal.halt = SIGUSR1\n\
         lxc.signal.reboot = SIGTERM\n\
         lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed\n\
         lxc.net.0.type = empty\n"
    )
}

#[cfg(test)]
mod tests;
