//! Gives each build an identity: caller and monitor must be of the same one.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// Hashes every source the request's meaning depends on; equal sources give equal identities, so
/// the static and the dynamic build of one tree understand each other.
fn main() {
    let mut hasher = DefaultHasher::new();
    for folder in ["src", "../plan/src", "../config/src"] {
        println!("cargo::rerun-if-changed={folder}");
        hash(Path::new(folder), &mut hasher);
    }
    println!("cargo::rustc-env=LXC_BUILD_ID={:016x}", hasher.finish());
}

fn hash(folder: &Path, hasher: &mut DefaultHasher) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            hash(&path, hasher);
        } else if let Ok(bytes) = std::fs::read(&path) {
            bytes.hash(hasher);
        }
    }
}
