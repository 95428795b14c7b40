//! liblxc.so.1: LXC's C library, as a coat of paint over the typed one.
//!
//! **Is** `struct lxc_container` and conversions; panics and bad pointers are caught here.
//! **Knows** the typed library only.
//! **Never** holds a rule of LXC.
