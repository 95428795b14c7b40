//! `vm-test`: the machines' command; `cargo xtask vm-test` builds what it needs and calls it.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

use lxc_harness::fleet::Fleet;
use lxc_harness::image::{self, Cache};
use lxc_harness::options::{HELP, Instead, Options};
use lxc_harness::run::{self, Matrix};
use lxc_harness::scenario;

/// Arguments or scenarios that mean nothing.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    match act() {
        Ok(status) => ExitCode::from(status),
        Err(wrong) => {
            wrong.iter().for_each(|line| eprintln!("vm-test: {line}"));
            ExitCode::from(MISUSED)
        }
    }
}

fn act() -> Result<u8, Vec<String>> {
    let one = |line: String| vec![line];
    let options = Options::parse(std::env::args().skip(1)).map_err(one)?;
    if options.instead == Some(Instead::Help) {
        print!("{HELP}");
        return Ok(0);
    }
    let root = Path::new(".");
    if options.instead == Some(Instead::Relock) {
        return relock(&options, root);
    }
    let kernels = image::kernels(root).map_err(|wrong| one(wrong.to_string()))?;
    let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name.as_str()).collect();
    let scenarios = scenario::load(&root.join("scenarios"), &names)
        .map_err(|wrong| wrong.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let matrix = Matrix::choose(&options, &kernels, &scenarios).map_err(one)?;
    match options.instead {
        Some(Instead::List) => {
            matrix.lines().for_each(|line| println!("{line}"));
            return Ok(0);
        }
        Some(_) => return Ok(0),
        None => {}
    }
    let packages = image::packages(root).map_err(|wrong| one(wrong.to_string()))?;
    let fleet = fleet(&options, kernels, &packages);
    let jobs = options.jobs.unwrap_or_else(cores);
    let report = run::play(&matrix, &fleet, jobs);
    print!("{}", report.text());
    if let Some(file) = &options.report {
        run::write_json(&report, file).map_err(one)?;
    }
    Ok(report.exit_status())
}

fn fleet(
    options: &Options,
    kernels: Vec<image::Kernel>,
    packages: &[image::Package],
) -> Result<Fleet, String> {
    match (&options.cache, &options.agent, &options.prefix) {
        (Some(cache), Some(agent), Some(prefix)) => {
            Fleet::gather(kernels, packages, cache, agent, prefix)
        }
        _ => Err("--cache, --agent and --prefix are needed; use: cargo xtask vm-test".to_owned()),
    }
}

fn relock(options: &Options, root: &Path) -> Result<u8, Vec<String>> {
    let Some(cache) = &options.cache else {
        return Err(vec![
            "--cache is needed; use: cargo xtask vm-test --relock".to_owned(),
        ]);
    };
    let locked = Cache::open(cache)
        .and_then(|cache| image::relock(root, &cache, &|text| println!("{text}")));
    match locked {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("locked: {line}"));
            println!("vm-images/images.lock: {} lines are new", lines.len());
            Ok(0)
        }
        Err(why) => {
            eprintln!("vm-test: {why}; the lock is as it was");
            Ok(1)
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
