//! Rebuilds the crate when the web app was built anew.

fn main() {
    println!("cargo::rerun-if-changed=../web/dist");
}
