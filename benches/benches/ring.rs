//! What it costs to keep the console's last words: an append to the buffer beside a copy of the same
//! bytes to the same place in memory that is not mapped twice.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lxc_engine::console::Ring;
use std::hint::black_box;

/// The size that `auto` means.
const SIZE: usize = 128 << 10;

/// Bytes that the monitor takes at a turn at most, and what does not divide the size: one append in
/// thirty-two goes across its end.
const PIECES: [(usize, &str); 2] = [(4096, "no append wraps"), (4095, "some appends wrap")];

fn appends(criterion: &mut Criterion) {
    for (length, which) in PIECES {
        let piece = vec![b'x'; length];
        let mut group = criterion.benchmark_group(format!("{length} bytes, {which}"));
        group.throughput(Throughput::Bytes(length as u64));
        group.bench_function("copied", |bencher| {
            let mut plain = vec![0; SIZE + length];
            let mut at = 0;
            bencher.iter(|| {
                plain[at..at + length].copy_from_slice(black_box(&piece));
                black_box(&mut plain);
                at = (at + length) % SIZE;
            });
        });
        group.bench_function("appended", |bencher| {
            let mut ring = Ring::new(SIZE as u64).expect("the kernel has memory");
            bencher.iter(|| ring.append(black_box(&piece)));
        });
        group.finish();
    }
}

criterion_group!(benches, appends);
criterion_main!(benches);
