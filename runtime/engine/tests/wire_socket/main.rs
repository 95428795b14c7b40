//! The command socket on a real kernel: our client and server, Debian's C LXC, and clients that mean ill.

mod clients;
mod exhaustion;
mod fake;
mod hostile;
mod insiders;
mod peers;
