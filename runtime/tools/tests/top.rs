//! lxc-top beside Debian's: on a terminal, and as lines for programs.

mod support;

use rustix::process::Signal;
use support::{Call, Lab, Peer, Ran, Side};

const OWNER: &str = "t33";

/// The columns of a page: the words of each of its lines behind the heading, figures left out.
fn names(page: &str) -> Vec<String> {
    let lines = page.lines().skip(2);
    lines
        .filter_map(|line| line.split_whitespace().next())
        .map(|name| name.trim_start_matches("\u{1b}[0m").to_owned())
        .collect()
}

/// The first whole page that a lxc-top shows.
fn first_page(call: Call) -> String {
    let sized = ["-c", "stty rows 30 cols 200; exec \"$0\" \"$@\""];
    let mut top = Call::new("sh")
        .args(sized)
        .words_of(call)
        .start_on_terminal();
    top.shows(" of 2");
    top.types("q");
    let ran: Ran = top.finish().exits(0);
    let page = ran.stdout.split("\u{1b}[H\u{1b}[J").nth(1);
    page.unwrap_or_default().replace('\r', "")
}

#[test]
fn a_page_has_the_form_of_debians() {
    let Some(lab) = Lab::new(OWNER, "a_page_has_the_form_of_debians") else {
        return;
    };
    let Some(_peer) = Peer::of(&lab, "a_page_has_the_form_of_debians") else {
        return;
    };
    let one = lab.busybox("a", "lxc.init.cmd = /bin/sleep 1000");
    let other = lab.sibling(&one, "b");
    lab.start(&one);
    lab.start(&other);
    let [ours, theirs] = Side::BOTH.map(|side| first_page(side.tool(&lab, "lxc-top", &[])));
    let heading = |page: &str| page.lines().take(2).collect::<Vec<_>>().join("\n");
    assert_eq!(heading(&ours), heading(&theirs), "{ours}\n---\n{theirs}");
    assert_eq!(names(&ours), names(&theirs), "{ours}\n---\n{theirs}");
    let widths = |page: &str| page.lines().map(|line| line.len()).collect::<Vec<_>>();
    assert_eq!(widths(&ours)[..2], widths(&theirs)[..2]);
    let reversed = first_page(lab.tool("lxc-top", &["-r"]));
    let order: Vec<_> = names(&ours).into_iter().take(2).rev().collect();
    assert_eq!(names(&reversed)[..2], order);
}

#[test]
fn lines_for_programs_need_no_terminal() {
    let Some(lab) = Lab::new(OWNER, "lines_for_programs_need_no_terminal") else {
        return;
    };
    let name = lab.busybox("a", "lxc.init.cmd = /bin/sleep 1000");
    lab.start(&name);
    let top = lab.tool("lxc-top", &["-b", "-d", "1"]).start();
    top.shows(&format!(",{name},"));
    let two = || top.output().matches(&name).count() >= 2;
    support::eventually("a second line", two);
    top.signal(Signal::KILL);
    let text = top.output();
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    assert!(header.starts_with("time_ms,container,cpu_nanos,"), "{text}");
    let values: Vec<_> = lines.next().unwrap_or_default().split(',').collect();
    assert_eq!(values.len(), header.split(',').count(), "{text}");
    let memory: u64 = values[7].parse().expect("a number");
    assert!(memory > 0, "{text}");
    // Interactively it does.
    lab.tool("lxc-top", &[])
        .run()
        .exits(1)
        .complains("stdin is not a tty");
}

#[test]
fn the_terminal_is_put_back() {
    let Some(lab) = Lab::new(OWNER, "the_terminal_is_put_back") else {
        return;
    };
    let top = lab.prefix().join("bin/lxc-top");
    for key in ["q", "\u{3}", "\u{1c}"] {
        let script = format!(
            "before=$(stty -a); {} -P {}; echo status $?; [ \"$before\" = \"$(stty -a)\" ] && echo same",
            top.display(),
            lab.lxcpath().display()
        );
        let mut shell = Call::new("sh").args(["-c", &script]).start_on_terminal();
        shell.shows("TOTAL 0 of 0");
        shell.types(key);
        let ran = shell.finish().exits(0);
        assert!(ran.stdout.contains("status 0\r\nsame"), "{ran}");
    }
}
