//! An HTTPS source with a self-signed certificate.

use crate::movie::Movie;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// An HTTPS server of the frames of a movie. It ends with the process of the test.
#[derive(Debug)]
pub struct TlsServer {
    address: SocketAddr,
    /// The certificate in PEM format, for clients that shall trust the server.
    pub authority: String,
}

impl TlsServer {
    /// Serves the frames of `movie` as PNG.
    pub fn png(movie: Movie) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                // A client that does not trust the certificate closes the connection. The test checks the client's error.
                std::thread::spawn(move || serve(config, stream, movie).ok());
            }
        });
        Self { address, authority: cert.pem() }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.address.port())
    }
}

/// Serves the requests of one keep-alive connection.
fn serve(config: Arc<ServerConfig>, stream: TcpStream, movie: Movie) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    loop {
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            if stream.read_line(&mut request)? == 0 {
                return Ok(());
            }
        }
        let index = request.split(['/', ' ']).nth(2).and_then(|index| index.parse().ok()).unwrap_or(0);
        let body = movie.png(index);
        write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
        stream.get_mut().write_all(&body)?;
        stream.get_mut().flush()?;
    }
}
