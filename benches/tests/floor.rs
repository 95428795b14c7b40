//! `bare` does what ours does: the same kernel operations, in the same number.

use std::path::Path;

use lxc_benches::layout::Layout;
use lxc_benches::operations::{self, Comparison};
use lxc_benches::scratch::Scratch;
use lxc_benches::subject::{self, Subject};

const TEST: &str = "bare_does_the_same_kernel_operations_as_ours";

fn could_not_run(reason: &str) {
    println!("COULD NOT RUN: {TEST}: {reason}");
}

#[test]
fn bare_does_the_same_kernel_operations_as_ours() {
    if let Some(reason) = subject::missing() {
        return could_not_run(&reason);
    }
    let scratch = Scratch::create().unwrap();
    if let Err(reason) = operations::can_count(scratch.path()) {
        return could_not_run(&reason);
    }
    let ours = Subject::ours(&scratch).unwrap();
    scratch.create_container(&ours).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_bare"));
    for layout in Layout::all().unwrap() {
        let layout = match layout {
            Ok(layout) => layout,
            Err(reason) => {
                could_not_run(&reason);
                continue;
            }
        };
        layout.enter().unwrap();
        let bare = Subject::bare(program, &scratch, &layout).unwrap();
        for comparison in Comparison::both(layout.kind.name(), &ours, &bare).unwrap() {
            let diverging = comparison.diverging();
            assert!(diverging.is_empty(), "{diverging:?}\n{comparison:#?}");
        }
    }
    scratch.remove(&ours).unwrap();
}
