//! The report of made-up runs.

use lxc_guest::protocol::Layout;

use super::*;

const OURS: Way = Way {
    subject: Subject::Ours,
    door: Door::Tools,
};
const PEER: Way = Way {
    subject: Subject::DebianLxc,
    door: Door::Tools,
};

fn place(kernel: &str, layout: Layout) -> Place {
    Place {
        kernel: kernel.to_owned(),
        layout,
    }
}

fn told(place: &Place, scenario: &str, way: Way, verdict: Verdict) -> Told {
    Told {
        place: place.clone(),
        scenario: scenario.to_owned(),
        way,
        verdict,
        differences: Vec::new(),
        times: Times {
            steps: Duration::from_secs(1),
            ..Times::default()
        },
    }
}

fn differing(mut told: Told, appeared: bool) -> Told {
    told.differences.push(Difference {
        at: "scenarios/a/b.toml:7".to_owned(),
        why: "it leaves a lock".to_owned(),
        appeared,
    });
    told
}

fn report(cells: Vec<Told>) -> Report {
    let places: BTreeSet<&Place> = cells.iter().map(|cell| &cell.place).collect();
    let machines = places.into_iter().map(|place| Booted {
        place: place.clone(),
        release: format!("{}-cloud", place.kernel),
        how: How::Kept,
    });
    Report {
        machines: machines.collect(),
        cells,
        whole: true,
        ..Report::default()
    }
}

fn could_not(why: &str) -> Verdict {
    Verdict::CouldNotRun(why.to_owned())
}

#[test]
fn one_table_shows_every_cell_and_the_last_line_sums_them() {
    let (old, new) = (place("5.10", Layout::V2), place("7.3", Layout::Hybrid));
    let report = report(vec![
        told(&old, "a/b", OURS, could_not("the kernel lacks veth")),
        told(&new, "a/b", OURS, Verdict::Passed),
        differing(told(&new, "a/b", PEER, Verdict::Passed), true),
        told(
            &new,
            "a/long-name",
            OURS,
            Verdict::Failed("scene 1\nmore".to_owned()),
        ),
    ]);
    let text = report.text();
    for line in [
        "             5.10     7.3",
        "             v2       hybrid",
        "a/b          -        pd",
        "a/long-name           F",
        "FAILED a/long-name (ours) on 7.3 hybrid",
        "  the kernel lacks veth",
        "    5.10 v2: a/b",
        "    1 of 1   scenarios/a/b.toml:7: it leaves a lock",
        "2 passed, 1 failed, 1 could not run, in 0 s",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line:?} in\n{text}"
        );
    }
    assert_eq!(text.lines().last().unwrap().split(',').count(), 4);
    assert_eq!(report.exit_status(), 1);
}

#[test]
fn what_could_run_nowhere_is_a_hole_in_the_whole_matrix_only() {
    let here = place("5.10", Layout::V2);
    let mut report = report(vec![
        told(&here, "a/b", OURS, could_not("no veth")),
        told(&here, "a/c", OURS, Verdict::Passed),
    ]);
    assert!(report.text().contains("a/b: could not run on any machine"));
    assert!(report.text().contains("0 failed and 1 of the matrix"));
    assert_eq!(report.exit_status(), 1);
    report.whole = false;
    assert_eq!(report.exit_status(), 0);
}

#[test]
fn a_difference_that_appears_nowhere_is_a_failure_of_the_matrix() {
    let here = place("5.10", Layout::V2);
    let row = |appeared| differing(told(&here, "a/b", OURS, Verdict::Passed), appeared);
    assert_eq!(report(vec![row(false), row(true)]).exit_status(), 0);
    assert_eq!(report(vec![row(false), row(false)]).exit_status(), 1);
}

#[test]
fn nothing_that_could_run_is_its_own_status() {
    let here = place("5.10", Layout::V2);
    let mut report = report(vec![told(&here, "a/b", OURS, could_not("no QEMU"))]);
    report.machines[0].how = How::Not("no QEMU".to_owned());
    assert_eq!(report.exit_status(), 69);
}
