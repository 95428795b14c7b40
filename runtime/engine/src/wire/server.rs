//! The monitor's side of the command socket: many clients, none of whom can make it wait.

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use lxc_kernel::events::{Event, Interest, Poller, poll_one};
use lxc_kernel::socket;
use lxc_kernel::{Errno, Result, SysError};

use super::address::Address;
use super::admission::{Door, Homes};
use super::answers::{Answers, Outcome, Reply, Then, answer};
use super::connection::{Connection, Phase, Progress, Reading, Sent, Writing};
use super::notice::Notice;
use super::request::{Refusal, Request};
use super::state::State;

/// Connections that the kernel queues for us; C LXC's figure.
const BACKLOG: i32 = 100;
/// Peers who may not ask, at one time.
const MAX_STRANGERS: usize = 16;
/// Peers who may ask and whose request or answer is under way, at one time.
const MAX_BUSY: usize = 64;
/// Clients that wait for a state, at one time.
const MAX_STATE_CLIENTS: usize = 256;
/// Clients that wait for the monitor's end, at one time.
const MAX_END_CLIENTS: usize = 256;
/// Connections taken per turn of the event loop: the console wants its turn too.
const ACCEPTS_PER_TURN: usize = 32;
/// How long a peer who may not ask is listened to.
const STRANGER_DEADLINE: Duration = Duration::from_secs(1);
/// How long a request may take to arrive.
const REQUEST_DEADLINE: Duration = Duration::from_secs(2);
/// How long a client may take to read its answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);
/// How long nobody is let in after the process ran out of descriptors.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);
/// Tokens that belong to one server: more than it has connections by far.
const TOKENS: u64 = 1 << 32;

/// Why an address could not be had.
#[derive(Debug)]
pub enum BindError {
    /// Somebody listens there already: the container runs, or another user holds its name.
    Taken(Address),
    /// The kernel refused for another reason.
    Sys(SysError),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::Taken(address) => write!(
                f,
                "the command socket {address} is taken: the container appears to be already running"
            ),
            BindError::Sys(error) => write!(f, "cannot listen on the command socket: {error}"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BindError::Taken(_) => None,
            BindError::Sys(error) => Some(error),
        }
    }
}

/// The command socket of one container and its clients.
///
/// Everything happens in [`Server::handle`] and [`Server::expire`], and neither of them blocks.
pub struct Server {
    listener: Option<OwnedFd>,
    door: Door,
    homes: Homes,
    base: u64,
    last: u64,
    connections: BTreeMap<u64, Connection>,
    /// While set, nobody is let in.
    paused_until: Option<Instant>,
}

impl Server {
    /// Listens on an address.
    ///
    /// # Errors
    /// [`BindError::Taken`] if somebody else does.
    pub fn bind(address: &Address) -> std::result::Result<Server, BindError> {
        let listener = match socket::abstract_listener(address.as_bytes(), BACKLOG) {
            Ok(listener) => listener,
            Err(error) if error.errno == Errno::ADDRINUSE => {
                return Err(BindError::Taken(address.clone()));
            }
            Err(error) => return Err(BindError::Sys(error)),
        };
        Server::from_listener(listener).map_err(BindError::Sys)
    }

    /// Serves a socket that listens already; it must be non-blocking.
    ///
    /// # Errors
    /// That it is no socket that can tell who sends.
    pub fn from_listener(listener: OwnedFd) -> Result<Server> {
        // Connections inherit it. Set on them after `accept` alone, it would come too late for what is sent
        // in between: that would arrive as sent by nobody.
        socket::set_pass_credentials(listener.as_fd())?;
        Ok(Server {
            listener: Some(listener),
            door: Door::own(),
            homes: Homes::default(),
            // No token is above the highest one: nothing is ours before `register`.
            base: u64::MAX,
            last: u64::MAX,
            connections: BTreeMap::new(),
            paused_until: None,
        })
    }

    /// Lets an event loop watch the socket; every token from `token_base` to `token_base` + 2³² is the
    /// server's from then on.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn register(&mut self, poller: &Poller, token_base: u64) -> Result<()> {
        self.base = token_base;
        self.last = token_base;
        match &self.listener {
            Some(listener) => poller.add(listener.as_fd(), token_base, Interest::READ),
            None => Ok(()),
        }
    }

    /// Tells whether an event with this token goes to [`Server::handle`].
    pub fn owns(&self, token: u64) -> bool {
        token
            .checked_sub(self.base)
            .is_some_and(|offset| offset < TOKENS)
    }

    /// Does what an event allows: lets clients in, reads requests, sends answers. Never blocks.
    pub fn handle(&mut self, poller: &Poller, event: &Event, answers: &mut dyn Answers) {
        if event.token == self.base {
            self.accept(poller, answers);
            return;
        }
        // One that was closed by an earlier event of the same turn is no longer there.
        if let Some(connection) = self.connections.remove(&event.token) {
            self.serve(poller, event.token, connection, answers);
        }
    }

    /// Closes the connections whose time is over.
    pub fn expire(&mut self, poller: &Poller, now: Instant, answers: &mut dyn Answers) {
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
            if let Some(listener) = &self.listener
                && poller
                    .add(listener.as_fd(), self.base, Interest::READ)
                    .is_err()
            {
                self.paused_until = Some(now + EXHAUSTED_PAUSE);
            }
        }
        let over: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.deadline.is_some_and(|deadline| deadline <= now))
            .map(|(token, _)| *token)
            .collect();
        for token in over {
            self.close(poller, token, answers);
        }
    }

    /// Gives the moment when [`Server::expire`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.connections
            .values()
            .filter_map(|connection| connection.deadline)
            .chain(self.paused_until)
            .min()
    }

    /// Tells the clients that wait for `state` that container `name` entered it, and closes them.
    ///
    /// [`State::Stopped`] is told by closing, when the server is shut: then nobody listens any more, so a
    /// client that asks again learns the same.
    pub fn publish(&mut self, poller: &Poller, state: State, name: &str) {
        if state == State::Stopped {
            return;
        }
        let notice = Notice::of_state(name, state).encode();
        let told: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, connection)| match &connection.phase {
                Phase::AwaitingState(wanted) => wanted[state.index()] != 0,
                _ => false,
            })
            .map(|(token, _)| *token)
            .collect();
        for token in told {
            if let Some(connection) = self.connections.remove(&token) {
                // One message always fits; a client that has gone needs none.
                let _ = socket::send(connection.socket.as_fd(), &notice, &[], false);
                unwatch(poller, &connection);
            }
        }
    }

    /// Closes what does not outlive a reboot: terminals, and state clients but for those that wait for
    /// the next [`State::Running`] (entry 2 of their list).
    pub fn keep_for_reboot(&mut self) {
        self.connections
            .retain(|_, connection| match &connection.phase {
                Phase::AwaitingState(wanted) => wanted[State::Running.index()] == 2,
                Phase::Tty(_) => false,
                Phase::Request(_) | Phase::Answer(_) | Phase::AwaitingEnd => true,
            });
    }

    /// Stops listening: from now on clients find the container stopped.
    pub fn close_listener(&mut self) {
        self.listener = None;
        self.paused_until = None;
    }

    /// Stops listening and closes every client, which tells those who wait that the container stopped.
    pub fn shut(mut self) {
        self.close_listener();
    }

    /// Gives the numbers of all its descriptors, for a child that has to close them.
    pub fn raw_fds(&self) -> Vec<RawFd> {
        self.listener
            .iter()
            .chain(
                self.connections
                    .values()
                    .map(|connection| &connection.socket),
            )
            .map(AsRawFd::as_raw_fd)
            .collect()
    }

    fn accept(&mut self, poller: &Poller, answers: &mut dyn Answers) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(listener) = &self.listener else {
                return;
            };
            match socket::accept(listener.as_fd()) {
                Ok(Some(socket)) => self.admit(poller, socket, answers),
                Ok(None) => return,
                // Out of descriptors, most likely: somebody has to go.
                Err(_) if self.close_oldest_busy(poller, answers) => {}
                Err(_) => return self.pause(poller),
            }
        }
    }

    /// Lets nobody in for a moment: a connection that waits and cannot be taken would wake us at once again.
    fn pause(&mut self, poller: &Poller) {
        if let Some(listener) = &self.listener {
            poller.remove(listener.as_fd()).ok();
            self.paused_until = Some(Instant::now() + EXHAUSTED_PAUSE);
        }
    }

    fn admit(&mut self, poller: &Poller, socket: OwnedFd, answers: &mut dyn Answers) {
        let Ok(peer) = socket::peer_credentials(socket.as_fd()) else {
            return;
        };
        let admitted = match answers.init_pid() {
            Some(init) if self.door.admits(&peer) => match self.homes.inside(peer.pid, init) {
                Ok(inside) => !inside,
                // Closed without a word, the client would take the container for stopped.
                Err(error) => {
                    let _ = Writing::start(socket.as_fd(), Reply::failed(error.errno));
                    return;
                }
            },
            _ => self.door.admits(&peer),
        };
        let patience = if admitted {
            if self.count(|connection| connection.admitted && is_busy(connection)) >= MAX_BUSY {
                self.close_oldest_busy(poller, answers);
            }
            REQUEST_DEADLINE
        } else {
            if self.count(|connection| !connection.admitted) >= MAX_STRANGERS {
                let _ = Writing::start(socket.as_fd(), Reply::failed(Errno::PERM));
                return;
            }
            STRANGER_DEADLINE
        };
        let connection = Connection {
            socket,
            phase: Phase::Request(Reading::default()),
            deadline: Some(Instant::now() + patience),
            admitted,
            watched: false,
        };
        let token = self.next_token();
        // Most requests have arrived by now: answering at once spares two calls to the event loop.
        self.serve(poller, token, connection, answers);
    }

    /// Brings a connection as far as it goes now, and keeps it if it goes further later.
    fn serve(
        &mut self,
        poller: &Poller,
        token: u64,
        mut connection: Connection,
        answers: &mut dyn Answers,
    ) {
        let socket = connection.socket.as_fd();
        match connection.phase {
            Phase::Request(ref mut reading) => {
                match reading.advance(socket, self.door, &mut connection.admitted) {
                    Progress::Unfinished => {
                        self.keep(poller, token, connection, Interest::READ, answers);
                    }
                    Progress::Gone => unwatch(poller, &connection),
                    Progress::Complete(request) => {
                        self.reply(poller, token, connection, request, answers);
                    }
                }
            }
            Phase::Answer(writing) => {
                let then = writing.then;
                let sent = writing.advance(socket);
                connection.phase = Phase::AwaitingEnd;
                self.sent(poller, token, connection, sent, then, answers);
            }
            // None of them has anything to say: an event here is the client's end, or a client that
            // does not keep to the protocol.
            Phase::Tty(number) => {
                unwatch(poller, &connection);
                answers.close_tty(number);
            }
            Phase::AwaitingState(_) | Phase::AwaitingEnd => unwatch(poller, &connection),
        }
    }

    /// Answers a complete request.
    fn reply(
        &mut self,
        poller: &Poller,
        token: u64,
        mut connection: Connection,
        request: std::result::Result<(Request, Option<OwnedFd>), Refusal>,
        answers: &mut dyn Answers,
    ) {
        let outcome = match request {
            _ if !connection.admitted => Outcome::Reply(Reply::failed(Errno::PERM)),
            Err(Refusal::Close) => Outcome::Close,
            Err(Refusal::Answer(errno)) => Outcome::Reply(Reply::failed(errno)),
            Ok((request, _)) if !self.has_room_for(&request) => {
                Outcome::Reply(Reply::failed(Errno::BUSY))
            }
            Ok((request, fd)) => {
                if matches!(request, Request::GetTty { .. }) {
                    self.let_go_of_terminals(poller, answers);
                }
                answer(request, fd, answers)
            }
        };
        match outcome {
            Outcome::Close => unwatch(poller, &connection),
            Outcome::Hold => {
                connection.phase = Phase::AwaitingEnd;
                connection.deadline = None;
                self.keep(poller, token, connection, Interest::READ, answers);
            }
            Outcome::Reply(reply) => {
                let then = reply.then;
                let sent = Writing::start(connection.socket.as_fd(), reply);
                if let Then::Publish(state) = then {
                    let name = answers.name().to_owned();
                    self.publish(poller, state, &name);
                }
                self.sent(poller, token, connection, sent, then, answers);
            }
        }
    }

    /// Frees the terminals whose clients have gone. Their end may be known to the kernel and not yet to
    /// us, when the next client was let in with the one before.
    fn let_go_of_terminals(&mut self, poller: &Poller, answers: &mut dyn Answers) {
        let left: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, connection)| matches!(connection.phase, Phase::Tty(_)))
            .filter(|(_, connection)| {
                let now = Some(Duration::ZERO);
                poll_one(connection.socket.as_fd(), Interest::READ, now).unwrap_or(false)
            })
            .map(|(token, _)| *token)
            .collect();
        for token in left {
            self.close(poller, token, answers);
        }
    }

    /// Tells whether one more client of the lasting kind can be kept.
    fn has_room_for(&self, request: &Request) -> bool {
        match request {
            Request::AddStateClient { .. } => {
                self.count(|c| matches!(c.phase, Phase::AwaitingState(_))) < MAX_STATE_CLIENTS
            }
            Request::Stop => {
                self.count(|c| matches!(c.phase, Phase::AwaitingEnd)) < MAX_END_CLIENTS
            }
            _ => true,
        }
    }

    /// Goes on after a send: waits for the client to read, or does what follows the answer.
    fn sent(
        &mut self,
        poller: &Poller,
        token: u64,
        mut connection: Connection,
        sent: Sent,
        then: Then,
        answers: &mut dyn Answers,
    ) {
        let patience = Instant::now() + ANSWER_DEADLINE;
        match (sent, then) {
            (Sent::Rest(writing), _) => {
                connection.phase = Phase::Answer(writing);
                connection.deadline = Some(patience);
                self.keep(poller, token, connection, Interest::WRITE, answers);
            }
            (Sent::All, Then::HoldTty(number)) => {
                connection.phase = Phase::Tty(number);
                connection.deadline = None;
                self.keep(poller, token, connection, Interest::READ, answers);
            }
            (Sent::All, Then::AwaitState(wanted)) => {
                let satisfied = wanted.iter().all(|entry| *entry == 0);
                connection.phase = Phase::AwaitingState(wanted);
                connection.deadline = satisfied.then_some(patience);
                self.keep(poller, token, connection, Interest::READ, answers);
            }
            (Sent::Gone, Then::HoldTty(number)) => {
                unwatch(poller, &connection);
                answers.close_tty(number);
            }
            (Sent::All, Then::Close | Then::Publish(_))
            | (Sent::Gone, Then::Close | Then::Publish(_) | Then::AwaitState(_)) => {
                unwatch(poller, &connection);
            }
        }
    }

    /// Puts a connection back, watched for `interest`.
    fn keep(
        &mut self,
        poller: &Poller,
        token: u64,
        mut connection: Connection,
        interest: Interest,
        answers: &mut dyn Answers,
    ) {
        let socket = connection.socket.as_fd();
        let watched = if connection.watched {
            poller.modify(socket, token, interest)
        } else {
            poller.add(socket, token, interest)
        };
        connection.watched = true;
        let lost = watched.is_err();
        self.connections.insert(token, connection);
        if lost {
            // Nobody would ever look at it again.
            self.close(poller, token, answers);
        }
    }

    fn close(&mut self, poller: &Poller, token: u64, answers: &mut dyn Answers) {
        let Some(connection) = self.connections.remove(&token) else {
            return;
        };
        unwatch(poller, &connection);
        match connection.phase {
            Phase::Tty(number) => answers.close_tty(number),
            Phase::Answer(writing) => {
                if let Then::HoldTty(number) = writing.then {
                    answers.close_tty(number);
                }
            }
            Phase::Request(_) | Phase::AwaitingState(_) | Phase::AwaitingEnd => {}
        }
    }

    /// Makes room: the one that has been given the most time goes. Tells whether there was one.
    fn close_oldest_busy(&mut self, poller: &Poller, answers: &mut dyn Answers) -> bool {
        let oldest = self
            .connections
            .iter()
            .filter(|(_, connection)| is_busy(connection))
            .min_by_key(|(_, connection)| connection.deadline)
            .map(|(token, _)| *token);
        if let Some(token) = oldest {
            self.close(poller, token, answers);
        }
        oldest.is_some()
    }

    fn count(&self, which: impl Fn(&Connection) -> bool) -> usize {
        self.connections.values().filter(|c| which(c)).count()
    }

    /// Gives a token that no connection has; the listener's is the first of all.
    fn next_token(&mut self) -> u64 {
        loop {
            let offset = self.last.wrapping_sub(self.base).wrapping_add(1) % TOKENS;
            self.last = self.base.wrapping_add(offset.max(1));
            if !self.connections.contains_key(&self.last) {
                return self.last;
            }
        }
    }
}

fn is_busy(connection: &Connection) -> bool {
    matches!(connection.phase, Phase::Request(_) | Phase::Answer(_))
}

/// Ends the event loop's watch.
///
/// Closing alone does not: a child that was cloned and has not yet executed holds the socket open.
fn unwatch(poller: &Poller, connection: &Connection) {
    if connection.watched {
        poller.remove(connection.socket.as_fd()).ok();
    }
}
