//! The cryptographic library of the process.

/// Selects ring as the cryptographic library of this process. Every HTTP client needs the selection before it is built. Further calls
/// change nothing.
pub fn install_crypto() {
    // An error means that a library is selected already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
