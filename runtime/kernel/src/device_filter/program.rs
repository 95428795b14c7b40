//! The eBPF program of a device list, assembled by hand: a dozen instructions need no compiler.

use super::{Access, Kind, Rule};

// Registers. The kernel passes the request in R1 and takes the answer from R0.
const ANSWER: u8 = 0;
const REQUEST: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
/// Once the request is unpacked its register is free.
const SCRATCH: u8 = 1;

// Operations (class, size, source), as the kernel numbers them.
const LOAD_U32: u8 = 0x61;
const MOVE_IMMEDIATE: u8 = 0xb7;
const MOVE32: u8 = 0xbc;
const AND32_IMMEDIATE: u8 = 0x54;
const SHIFT_RIGHT32_IMMEDIATE: u8 = 0x74;
const JUMP_UNLESS_EQUAL_IMMEDIATE: u8 = 0x55;
const JUMP_UNLESS_EQUAL: u8 = 0x5d;
const EXIT: u8 = 0x95;

// Offsets of the fields of struct bpf_cgroup_dev_ctx.
const ACCESS_TYPE_OFFSET: i16 = 0;
const MAJOR_OFFSET: i16 = 4;
const MINOR_OFFSET: i16 = 8;

/// The program that gives each rule's answer for what the rule matches, first match first, else `default`.
pub(super) fn assemble<'a>(default: bool, rules: impl Iterator<Item = &'a Rule>) -> Vec<u64> {
    let mut program = prologue();
    for rule in rules {
        let tests = tests(rule);
        let unconditional = tests.is_empty();
        append(&mut program, tests, rule.allow);
        if unconditional {
            // The verifier refuses instructions that nothing can reach.
            return program;
        }
    }
    append(&mut program, Vec::new(), default);
    program
}

/// Unpacks the request: the low half of its first word is the kind of device, the high half the access.
fn prologue() -> Vec<u64> {
    vec![
        instruction(LOAD_U32, KIND, REQUEST, ACCESS_TYPE_OFFSET, 0),
        instruction(MOVE32, ACCESS, KIND, 0, 0),
        instruction(AND32_IMMEDIATE, KIND, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT32_IMMEDIATE, ACCESS, 0, 0, 16),
        instruction(LOAD_U32, MAJOR, REQUEST, MAJOR_OFFSET, 0),
        instruction(LOAD_U32, MINOR, REQUEST, MINOR_OFFSET, 0),
    ]
}

/// A rule's tests, the jumps still without their target.
fn tests(rule: &Rule) -> Vec<u64> {
    let mut tests = Vec::new();
    if rule.access != Access::ALL {
        tests.push(instruction(MOVE32, SCRATCH, ACCESS, 0, 0));
        tests.push(instruction(
            AND32_IMMEDIATE,
            SCRATCH,
            0,
            0,
            rule.access.bits().into(),
        ));
        tests.push(instruction(JUMP_UNLESS_EQUAL, SCRATCH, ACCESS, 0, 0));
    }
    let kind = match rule.kind {
        Kind::All => None,
        Kind::Block => Some(1),
        Kind::Char => Some(2),
    };
    for (register, wanted) in [(KIND, kind), (MAJOR, rule.major), (MINOR, rule.minor)] {
        // A number above i32::MAX is extended with ones and equals no device's number: rightly so, none is that big.
        tests.extend(
            wanted.map(|wanted| {
                instruction(JUMP_UNLESS_EQUAL_IMMEDIATE, register, 0, 0, wanted as i32)
            }),
        );
    }
    tests
}

/// Appends tests that jump past the answer when they fail, then the answer.
fn append(program: &mut Vec<u64>, tests: Vec<u64>, answer: bool) {
    const ANSWER_LENGTH: usize = 2;
    let end = tests.len() + ANSWER_LENGTH;
    for (at, test) in tests.into_iter().enumerate() {
        let is_jump = matches!(
            operation(test),
            JUMP_UNLESS_EQUAL | JUMP_UNLESS_EQUAL_IMMEDIATE
        );
        // A jump counts from the instruction after it; a rule has at most eight instructions.
        let distance = (end - at - 1) as u64;
        program.push(if is_jump { test | distance << 16 } else { test });
    }
    program.push(instruction(MOVE_IMMEDIATE, ANSWER, 0, 0, answer.into()));
    program.push(instruction(EXIT, 0, 0, 0, 0));
}

/// One instruction, laid out from the low end: operation, registers, offset, immediate.
fn instruction(operation: u8, target: u8, source: u8, offset: i16, immediate: i32) -> u64 {
    u64::from(operation)
        | u64::from(target | source << 4) << 8
        | u64::from(offset as u16) << 16
        | u64::from(immediate as u32) << 32
}

fn operation(instruction: u64) -> u8 {
    instruction as u8
}
