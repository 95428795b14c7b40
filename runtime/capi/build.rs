//! Compiles what only C can write, and gives the library its name.

fn main() {
    for input in ["src/variadic.c", "include/lxc"] {
        println!("cargo:rerun-if-changed={input}");
    }
    cc::Build::new()
        .file("src/variadic.c")
        .include("include")
        .std("gnu11")
        .extra_warnings(true)
        .compile("lxc_variadic");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,liblxc.so.1");
}
