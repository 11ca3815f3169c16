//! What this process may take of the machine.
#![expect(unsafe_code, reason = "nice(2) has no safe form in the crates we have")]

/// How much later than the server this process gets a processor that both want: the broadcast comes before its ladder.
const NICER_BY: libc::c_int = 10;

/// Lowers the priority, and has no core dumped: a core has the pictures of a broadcast that may not be public.
/// What is not allowed is left as it is.
pub(crate) fn apply() {
    // SAFETY: nice takes and returns integers and touches no memory of ours.
    unsafe { libc::nice(NICER_BY) };
    let _ = rlimit::setrlimit(rlimit::Resource::CORE, 0, 0);
}
