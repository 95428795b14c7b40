//! Clients that keep to nothing: the monitor answers others all the while.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use lxc_engine::wire::{Command, Request, RequestHeader, ResponseHeader, State};
use lxc_kernel::events::{Interest, Poller};
use lxc_kernel::{Errno, socket};

use crate::clients::as_stranger;
use crate::fake::Monitor;

const STATE: [u8; 16] = {
    let mut bytes = [0; 16];
    bytes[0] = Command::GetState as u8;
    bytes
};

fn send(socket: &OwnedFd, bytes: &[u8]) {
    let sent = socket::send(socket.as_fd(), bytes, &[], false).unwrap();
    assert_eq!(sent, bytes.len());
}

/// What an answer is to such a client.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Closed,
    Answer { ret: i32, inline: i32 },
}

fn hear(socket: &OwnedFd) -> Heard {
    let mut head = [0; 16];
    match socket::receive(socket.as_fd(), &mut head, 0) {
        Ok(received) if received.bytes == 16 => {
            let head = ResponseHeader::decode(&head);
            Heard::Answer {
                ret: head.ret,
                inline: head.inline(),
            }
        }
        Ok(received) => {
            assert_eq!(received.bytes, 0, "a torn answer");
            Heard::Closed
        }
        Err(error) if error.errno == Errno::CONNRESET => Heard::Closed,
        Err(error) => panic!("neither answer nor close: {error}"),
    }
}

fn answer(ret: i32, inline: i32) -> Heard {
    Heard::Answer { ret, inline }
}

/// A monitor that is held up is so every time; a busy machine is slow now and then.
fn assert_prompt(monitor: &Monitor) {
    let took = (0..5).map(|_| {
        let start = Instant::now();
        assert_eq!(monitor.client().state().unwrap(), State::Running);
        start.elapsed()
    });
    let took: Vec<Duration> = took.collect();
    assert!(
        took.iter().min() < Some(&Duration::from_millis(100)),
        "answers took {took:?}"
    );
}

#[test]
fn every_command_with_every_length_is_answered_or_closed() {
    let monitor = Monitor::start();
    for command in (0..30).chain([u32::MAX]) {
        if command == Command::Stop.number() {
            continue;
        }
        for length in [i32::MIN, -1, 0, 1, 24, 32, 40, 80, 96, 8192, 8193, i32::MAX] {
            for fill in [0u8, b'c', 0xff] {
                let socket = monitor.raw();
                let slot = i64::MAX;
                let header = RequestHeader {
                    command,
                    length,
                    slot,
                };
                send(&socket, &header.encode());
                let payload = vec![fill; usize::try_from(length).unwrap_or(1).clamp(1, 9000)];
                // Refused by its length, the connection may be closed before this.
                let _ = socket::send(socket.as_fd(), &payload, &[], false);
                hear(&socket);
            }
        }
        assert_prompt(&monitor);
    }
}

#[test]
fn what_is_turned_away_and_how() {
    let monitor = Monitor::start();
    let check = |command: u32, length: i32, payload: &[u8], expected: Heard| {
        let socket = monitor.raw();
        let header = RequestHeader {
            command,
            length,
            slot: 0,
        };
        send(&socket, &header.encode());
        let _ = socket::send(socket.as_fd(), payload, &[], false);
        assert_eq!(
            hear(&socket),
            expected,
            "command {command}, length {length}"
        );
        assert_eq!(hear(&socket), Heard::Closed);
    };
    check(27, 0, b"", answer(-38, 0));
    check(27, 3, b"abc", answer(-38, 0));
    check(Command::Winch.number(), 0, b"", Heard::Closed);
    check(Command::GetState.number(), -1, b"", Heard::Closed);
    check(Command::GetConfigItem.number(), 8193, b"", Heard::Closed);
    check(Command::GetConfigItem.number(), 0, b"", answer(-22, 0));
    check(Command::GetConfigItem.number(), 4, b"nope", answer(-22, 0));
    check(Command::GetConfigItem.number(), 5, b"nope\0", answer(-1, 0));
    check(Command::GetCgroup.number(), 5, b"nope\0", Heard::Closed);
    check(Command::GetCgroup.number(), 0, b"", Heard::Closed);
    check(Command::GetCgroup2Fd.number(), 0, b"", answer(-22, 0));
    check(Command::GetDevptsFd.number(), 0, b"", answer(-9, 0));
    check(Command::Freeze.number(), 0, b"", answer(-2, 0));
    check(Command::GetSystemdScope.number(), 0, b"", answer(-22, 0));
    check(
        Command::AddStateClient.number(),
        31,
        &[0; 31],
        answer(-22, 0),
    );
    let running = [0i32, 0, 1, 0, 0, 0, 0, 0].map(i32::to_ne_bytes).concat();
    let socket = monitor.raw();
    let header = RequestHeader {
        command: Command::AddStateClient.number(),
        length: 32,
        slot: 0,
    };
    send(&socket, &[&header.encode()[..], &running].concat());
    assert_eq!(hear(&socket), answer(2, 2));
}

#[test]
fn pieces_are_put_together_and_what_follows_is_left() {
    let monitor = Monitor::start();
    let socket = monitor.raw();
    for byte in STATE {
        send(&socket, &[byte]);
        // Each piece is seen by itself: this answer comes after it.
        assert_prompt(&monitor);
    }
    assert_eq!(hear(&socket), answer(0, State::Running.number()));

    let socket = monitor.raw();
    send(&socket, &[STATE, STATE].concat());
    assert_eq!(hear(&socket), answer(0, State::Running.number()));
    assert_eq!(hear(&socket), Heard::Closed);
}

#[test]
fn silent_clients_are_closed_in_time_and_keep_nobody_waiting() {
    let monitor = Monitor::start();
    let start = Instant::now();
    let address = monitor.address();
    let (half, whole) = Request::GetConfigItem {
        key: "lxc.uts.name".to_owned(),
    }
    .encode();
    let promised: Vec<OwnedFd> = (0..10)
        .map(|_| {
            let socket = monitor.raw();
            send(&socket, &half.encode());
            socket
        })
        .collect();
    assert_prompt(&monitor);
    let strangers = as_stranger(move || {
        (0..500)
            .map(|_| socket::abstract_connect(address.as_bytes()).unwrap())
            .collect::<Vec<OwnedFd>>()
    });
    assert_prompt(&monitor);
    for stranger in strangers.iter().rev() {
        let timeout = Some(Duration::from_secs(20));
        socket::set_receive_timeout(stranger.as_fd(), timeout).unwrap();
    }
    // All but 16 were sent away at once, those after their second.
    let silent: Vec<&OwnedFd> = strangers
        .iter()
        .filter(|stranger| hear(stranger) == Heard::Closed)
        .collect();
    assert_eq!(silent.len(), 16);
    let elapsed = start.elapsed();
    assert!(
        elapsed > Duration::from_millis(990),
        "closed after {elapsed:?}"
    );
    assert!(
        elapsed < Duration::from_millis(1900),
        "closed after {elapsed:?}"
    );
    for socket in &promised {
        assert_eq!(hear(socket), Heard::Closed);
    }
    let elapsed = start.elapsed();
    assert!(
        elapsed > Duration::from_millis(1990),
        "closed after {elapsed:?}"
    );
    assert!(elapsed < Duration::from_secs(4), "closed after {elapsed:?}");
    let late = socket::send(promised[0].as_fd(), &whole, &[], false).unwrap_err();
    assert_eq!(late.errno, Errno::PIPE);
}

#[test]
fn a_flood_of_connections_makes_the_oldest_go() {
    let monitor = Monitor::start();
    let flood: Vec<OwnedFd> = (0..300).map(|_| monitor.raw()).collect();
    assert_prompt(&monitor);
    for socket in &flood[..300 - 64] {
        assert_eq!(hear(socket), Heard::Closed);
    }
    // Each question of `assert_prompt` was answered and gone before the next: one place in all.
    for socket in &flood[300 - 63..] {
        send(socket, &STATE);
        assert_eq!(hear(socket), answer(0, State::Running.number()));
    }
}

#[test]
fn those_who_wait_for_states_are_counted() {
    let monitor = Monitor::start();
    let mut wanted = [0; State::COUNT];
    wanted[State::Frozen.index()] = 1;
    let (header, payload) = Request::AddStateClient { wanted }.encode();
    let bytes = [&header.encode()[..], &payload].concat();
    let ask = || {
        let socket = monitor.raw();
        send(&socket, &bytes);
        let heard = hear(&socket);
        (socket, heard)
    };
    let mut waiting = Vec::new();
    for _ in 0..256 {
        let (socket, heard) = ask();
        assert_eq!(heard, answer(8, 8));
        waiting.push(socket);
    }
    let (_, heard) = ask();
    assert_eq!(heard, answer(-16, 0));
    waiting.truncate(100);
    let until = Instant::now() + Duration::from_secs(10);
    while ask().1 != answer(8, 8) {
        assert!(Instant::now() < until, "nobody's place became free");
    }
    monitor.announce_frozen();
    for socket in &waiting {
        let mut notice = [0; 300];
        let received = socket::receive(socket.as_fd(), &mut notice, 0).unwrap();
        assert_eq!(received.bytes, 264);
    }
}

#[test]
fn descriptors_that_nobody_asked_for_are_closed() {
    let monitor = Monitor::start();
    let (header, payload) = Request::GetConfigItem {
        key: "lxc.uts.name".to_owned(),
    }
    .encode();
    let (inside, outside) = lxc_kernel::fd::pair().unwrap();
    let socket = monitor.raw();
    let flood = vec![inside.as_fd(); 253];
    socket::send(socket.as_fd(), &header.encode(), &flood, false).unwrap();
    socket::send(socket.as_fd(), &payload, &flood, false).unwrap();
    assert!(matches!(hear(&socket), Heard::Answer { ret: 0, .. }));
    drop(inside);
    // Only its last holder's end ends it.
    socket::set_receive_timeout(outside.as_fd(), Some(Duration::from_secs(5))).unwrap();
    let end = socket::receive(outside.as_fd(), &mut [0], 0).unwrap();
    assert_eq!(end.bytes, 0);
}

#[test]
fn one_who_does_not_read_is_closed() {
    let monitor = Monitor::start();
    monitor.scene().log = vec![b'x'; 8 << 20];
    let log = lxc_engine::wire::ConsoleLog {
        read: true,
        ..Default::default()
    };
    let (header, payload) = Request::ConsoleLog(log).encode();
    let socket = monitor.raw();
    send(&socket, &header.encode());
    send(&socket, &payload);
    assert_eq!(hear(&socket), answer(0, 0));
    assert_prompt(&monitor);
    // Two seconds after the answer began, the connection is closed for good.
    let start = Instant::now();
    let hangup = Poller::new().unwrap();
    hangup.add(socket.as_fd(), 0, Interest::default()).unwrap();
    let until = Some(start + Duration::from_secs(10));
    assert!(!hangup.wait(until).unwrap().is_empty(), "still open");
    let took = start.elapsed();
    assert!(took > Duration::from_millis(1500), "closed after {took:?}");
    assert_prompt(&monitor);
}

#[test]
fn both_who_connected_and_who_wrote_must_be_allowed() {
    let monitor = Monitor::start();
    let address = monitor.address();
    let opened_by_stranger =
        as_stranger(move || socket::abstract_connect(address.as_bytes()).unwrap());
    send(&opened_by_stranger, &STATE);
    assert_eq!(hear(&opened_by_stranger), answer(-1, 0));

    let opened_by_root = monitor.raw();
    let written_by_stranger = opened_by_root.try_clone().unwrap();
    as_stranger(move || send(&written_by_stranger, &STATE));
    assert_eq!(hear(&opened_by_root), answer(-1, 0));

    let only_the_end = monitor.raw();
    send(&only_the_end, &STATE[..8]);
    let rest = only_the_end.try_clone().unwrap();
    as_stranger(move || send(&rest, &STATE[8..]));
    assert_eq!(hear(&only_the_end), answer(-1, 0));
}
