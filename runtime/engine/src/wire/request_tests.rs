use proptest::prelude::*;

use super::super::frame::FRAME;
use super::*;

fn header(command: u32, length: i32, slot: i64) -> RequestHeader {
    RequestHeader {
        command,
        length,
        slot,
    }
}

fn decode(command: Command, slot: i32, payload: &[u8]) -> Result<Request, Refusal> {
    let length = i32::try_from(payload.len()).unwrap_or(i32::MAX);
    Request::decode(&header(command.number(), length, i64::from(slot)), payload)
}

#[test]
fn every_command_survives_its_own_encoding() {
    let text = || "memory".to_owned();
    let requests = [
        Request::GetTty { which: -1 },
        Request::Winch,
        Request::Stop,
        Request::GetState,
        Request::GetInitPid,
        Request::GetCloneFlags,
        Request::GetCgroup { controller: None },
        Request::GetCgroup {
            controller: Some(text()),
        },
        Request::GetConfigItem {
            key: "lxc.arch".to_owned(),
        },
        Request::GetName,
        Request::GetLxcpath,
        Request::AddStateClient {
            wanted: [1, 0, 2, 0, 0, 0, 0, -1],
        },
        Request::ConsoleLog(ConsoleLog {
            clear: false,
            read: true,
            read_max: 7,
            write_logfile: true,
        }),
        Request::ServeStateClients {
            state: State::Thawed,
        },
        Request::AddDeviceRule(DeviceRule {
            kind: super::super::DeviceKind::All,
            major: None,
            minor: None,
            access: String::new(),
            allow: false,
        }),
        Request::Freeze { timeout: -1 },
        Request::Unfreeze { timeout: 30 },
        Request::GetCgroup2Fd,
        Request::GetInitPidfd,
        Request::GetLimitCgroup {
            controller: Some(text()),
        },
        Request::GetLimitCgroup2Fd,
        Request::GetDevptsFd,
        Request::GetSeccompNotifyFd,
        Request::GetCgroupCtx { size: 96 },
        Request::GetCgroupFd {
            controller: text(),
            size: 80,
        },
        Request::GetLimitCgroupFd {
            controller: text(),
            size: 96,
        },
        Request::GetSystemdScope,
        Request::SeccompAddListener,
    ];
    for command in Command::ALL {
        let shown = requests.iter().any(|request| request.command() == *command);
        assert!(shown, "no row for {command}");
    }
    for request in requests {
        let (header, payload) = request.encode();
        let header = RequestHeader::decode(&header.encode());
        assert_eq!(header.payload_length(), Ok(payload.len()), "{request:?}");
        assert_eq!(Request::decode(&header, &payload), Ok(request));
    }
}

#[test]
fn lengths_at_the_door() {
    let check = |command: u32, length: i32, expected: Result<usize, Refusal>| {
        let found = header(command, length, 0).payload_length();
        assert_eq!(found, expected, "command {command}, length {length}");
    };
    let seccomp = Command::SeccompAddListener.number();
    let log = Command::ConsoleLog.number();
    for command in 0..30 {
        check(command, -1, Err(Refusal::Close));
        check(command, i32::MIN, Err(Refusal::Close));
        let empty = usize::from(command == seccomp);
        check(command, 0, Ok(empty));
        check(command, 1, Ok(1));
        check(command, 8192, Ok(8192));
        let too_long = if command == log {
            INVALID
        } else {
            Refusal::Close
        };
        check(command, 8193, Err(too_long));
        check(command, i32::MAX, Err(too_long));
    }
}

#[test]
fn what_is_refused() {
    let check = |command: Command, slot: i32, payload: &[u8], expected: Refusal| {
        let found = decode(command, slot, payload);
        assert_eq!(found, Err(expected), "{command} {slot} {payload:?}");
    };
    check(Command::GetTty, -2, b"", Refusal::Answer(Errno::BADF));
    check(Command::ServeStateClients, 8, b"", INVALID);
    check(Command::ServeStateClients, -1, b"", INVALID);
    check(Command::GetConfigItem, 0, b"", INVALID);
    check(Command::GetConfigItem, 0, b"lxc.arch", INVALID);
    check(Command::GetConfigItem, 0, b"lxc\0arch\0", INVALID);
    check(Command::GetCgroup, 0, b"memory", INVALID);
    check(Command::AddStateClient, 0, &[0; 31], INVALID);
    check(Command::AddStateClient, 0, &[0; 36], INVALID);
    check(Command::AddStateClient, 0, b"", INVALID);
    check(Command::ConsoleLog, 0, &[0; 23], INVALID);
    check(Command::ConsoleLog, 0, &[0; 8192], INVALID);
    check(Command::AddDeviceRule, 0, &[0; 40], INVALID);
    check(Command::SeccompAddListener, 0, b"x", INVALID);
    check(Command::GetCgroupCtx, 0, b"", INVALID);
    check(Command::GetCgroupCtx, 0, &[1; 200], INVALID);
    check(Command::GetCgroupFd, 0, b"", INVALID);
    check(Command::GetCgroupFd, 0, &[0; 80], INVALID);
    check(Command::GetState, 0, b"x", INVALID);
    for number in [27, 28, 1000, u32::MAX] {
        let refusal = Request::decode(&header(number, 0, 0), b"");
        assert_eq!(refusal, Err(Refusal::Answer(Errno::NOSYS)), "{number}");
    }
}

proptest! {
    /// Whatever arrives is a request that says again what was sent, or is turned away.
    #[test]
    fn any_bytes_are_a_request_or_refused(
        command in prop_oneof![0u32..30, any::<u32>()],
        length in prop_oneof![-2i32..100, any::<i32>()],
        slot in any::<i64>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let header = header(command, length, slot);
        let Ok(length) = header.payload_length() else { return Ok(()) };
        let mut payload = bytes;
        payload.resize(length, 0);
        if let Ok(request) = Request::decode(&header, &payload) {
            let (again, payload) = request.encode();
            prop_assert_eq!(again.command, header.command);
            prop_assert_eq!(Request::decode(&again, &payload), Ok(request));
        }
    }

    /// Texts and structures get their share of the luck that pure chance does not give them.
    #[test]
    fn structured_bytes_are_a_request_or_refused(
        command in 0u32..27,
        size in prop_oneof![Just(24usize), Just(32), Just(40), Just(80), Just(96), 0usize..100],
        bytes in proptest::collection::vec(
            prop_oneof![3 => Just(0u8), 1 => any::<u8>(), 2 => Just(b'c'), 1 => Just(b'w')],
            100,
        ),
    ) {
        let payload = &bytes[..size];
        let header = header(command, size as i32, 0);
        if let Ok(request) = Request::decode(&header, payload) {
            let (again, payload) = request.encode();
            prop_assert_eq!(Request::decode(&again, &payload), Ok(request));
        }
    }

    #[test]
    fn heads_are_read_as_written(bytes in any::<[u8; FRAME]>()) {
        prop_assert_eq!(RequestHeader::decode(&bytes).encode(), bytes);
    }
}
