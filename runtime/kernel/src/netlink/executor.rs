//! Drives rtnetlink's futures with poll(2): one socket, one request at a time, a deadline, no thread.

use crate::error::Errno;
use bytes::BufMut;
use futures_core::Stream;
use rtnetlink::packet_core::NetlinkMessage;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::proto::Connection;
use rtnetlink::sys::{AsyncSocket, Socket, SocketAddr};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::cell::Cell;
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// The kernel answers within microseconds; who waits longer waits for a lock that somebody holds for good.
const DEADLINE: Duration = Duration::from_secs(5);

type Reply = NetlinkMessage<RouteNetlinkMessage>;

pub(super) struct Executor {
    connection: Connection<RouteNetlinkMessage, PollSocket>,
    woken: Arc<Woken>,
    waker: Waker,
    patience: Duration,
}

impl Executor {
    pub(super) fn open() -> Result<(Self, rtnetlink::Handle), Errno> {
        let (mut connection, handle, unsolicited) =
            rtnetlink::new_connection_with_socket().map_err(|error| errno_of(&error))?;
        // We join no multicast group: what comes unasked is a late answer to a request that was given up.
        drop(unsolicited);
        connection.set_forward_done(true);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        Ok((
            Self {
                connection,
                woken,
                waker,
                patience: DEADLINE,
            },
            handle,
        ))
    }

    /// Collects the replies of one request until its stream ends.
    pub(super) fn run(&mut self, stream: impl Stream<Item = Reply>) -> Result<Vec<Reply>, Errno> {
        let deadline = Instant::now() + self.patience;
        let mut stream = pin!(stream);
        let waker = self.waker.clone();
        let mut context = Context::from_waker(&waker);
        let mut replies = Vec::new();
        loop {
            let closed = pin!(&mut self.connection).poll(&mut context).is_ready();
            loop {
                match stream.as_mut().poll_next(&mut context) {
                    Poll::Ready(Some(reply)) => replies.push(reply),
                    Poll::Ready(None) => return Ok(replies),
                    Poll::Pending => break,
                }
            }
            if closed {
                return Err(self.closed_because());
            }
            if !self.woken.0.swap(false, Ordering::Acquire) {
                self.connection.socket_mut().wait(deadline)?;
            }
        }
    }

    /// The error that closed the connection.
    pub(super) fn closed_because(&mut self) -> Errno {
        self.connection
            .socket_mut()
            .failure
            .get()
            .unwrap_or(Errno::PIPE)
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// A non-blocking netlink socket that remembers whether the last look found it ready, to save useless calls.
pub(super) struct PollSocket {
    socket: Socket,
    readable: Cell<bool>,
    writable: Cell<bool>,
    failure: Cell<Option<Errno>>,
}

impl PollSocket {
    /// Sleeps until the socket can go on; `ETIMEDOUT` at the deadline.
    fn wait(&self, deadline: Instant) -> Result<(), Errno> {
        let mut interest = PollFlags::IN;
        if !self.writable.get() {
            interest |= PollFlags::OUT;
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut fds = [PollFd::from_borrowed_fd(self.socket.as_fd(), interest)];
            match rustix::event::poll(&mut fds, Some(&timeout)) {
                Ok(0) => return Err(Errno::TIMEDOUT),
                Ok(_) => {
                    let found = fds[0].revents();
                    // An error condition is fetched by the next read.
                    self.readable
                        .set(found.intersects(PollFlags::IN | PollFlags::ERR | PollFlags::HUP));
                    self.writable
                        .set(self.writable.get() || found.intersects(PollFlags::OUT));
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    fn attempt<T>(
        &self,
        ready: &Cell<bool>,
        call: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        if !ready.get() {
            return Poll::Pending;
        }
        match retry_interrupted(call) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready.set(false);
                Poll::Pending
            }
            result => {
                if let Err(error) = &result {
                    self.failure.set(Some(errno_of(error)));
                }
                Poll::Ready(result)
            }
        }
    }

    fn send(
        &self,
        context: &Context<'_>,
        call: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let result = self.attempt(&self.writable, call);
        if let Poll::Ready(Ok(_)) = result {
            // The kernel works off a request inside sendto(2): its answer is there, no need to ask poll(2) first.
            self.readable.set(true);
            context.waker().wake_by_ref();
        }
        result
    }

    fn receive<T>(&self, call: impl FnMut() -> io::Result<T>) -> Poll<io::Result<T>> {
        let result = self.attempt(&self.readable, call);
        if result.is_ready() {
            // Most answers are one datagram; whether there is another is asked only if somebody still waits.
            self.readable.set(false);
        }
        result
    }
}

impl AsyncSocket for PollSocket {
    fn socket_ref(&self) -> &Socket {
        &self.socket
    }

    fn socket_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }

    fn new(protocol: isize) -> io::Result<Self> {
        let socket = Socket::new(protocol)?;
        socket.set_non_blocking(true)?;
        // The kernel's own sentence about an error, without an echo of the request in front of it.
        socket.set_cap_ack(true)?;
        socket.set_ext_ack(true)?;
        Ok(Self {
            socket,
            readable: Cell::new(false),
            writable: Cell::new(true),
            failure: Cell::new(None),
        })
    }

    fn poll_send(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.send(context, || self.socket.send(bytes, 0))
    }

    fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        to: &SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.send(context, || self.socket.send_to(bytes, to, 0))
    }

    fn poll_recv<B: BufMut>(&self, _: &mut Context<'_>, buffer: &mut B) -> Poll<io::Result<()>> {
        self.receive(|| self.socket.recv(buffer, 0).map(drop))
    }

    fn poll_recv_from<B: BufMut>(
        &self,
        _: &mut Context<'_>,
        buffer: &mut B,
    ) -> Poll<io::Result<SocketAddr>> {
        self.receive(|| self.socket.recv_from(buffer, 0).map(|(_, from)| from))
    }

    fn poll_recv_from_full(&self, _: &mut Context<'_>) -> Poll<io::Result<(Vec<u8>, SocketAddr)>> {
        self.receive(|| self.socket.recv_from_full())
    }
}

fn retry_interrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::Pin;

    struct Silence;

    impl Stream for Silence {
        type Item = Reply;

        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Reply>> {
            Poll::Pending
        }
    }

    #[test]
    fn an_answer_that_never_comes_is_given_up() {
        let (mut executor, _handle) = Executor::open().expect("a netlink socket");
        executor.patience = Duration::from_millis(30);
        let before = Instant::now();
        assert_eq!(executor.run(Silence).map(drop), Err(Errno::TIMEDOUT));
        assert!(
            before.elapsed() >= executor.patience,
            "gave up after {:?}",
            before.elapsed()
        );
    }
}
