//! Reads and writes certificates as JSON.

use std::io::{self, Read, Write};

use thiserror::Error;

use crate::verdict::Certificate;

/// Why a file is no certificate.
#[derive(Debug, Error)]
#[error("{file}: expected a certificate: {cause}")]
pub struct ReadCertificateError {
    /// The file's name, as the caller gave it.
    pub file: String,
    /// What stands there instead, with line and column.
    pub cause: String,
}

/// Reads the certificate in the file that is called `name`.
///
/// # Errors
///
/// If `input` cannot be read, or is not one certificate.
pub fn read_certificate(name: &str, input: impl Read) -> Result<Certificate, ReadCertificateError> {
    serde_json::from_reader(io::BufReader::new(input))
        .map_err(|cause| ReadCertificateError { file: name.to_owned(), cause: cause.to_string() })
}

/// Writes a certificate.
///
/// # Errors
///
/// If `output` cannot be written to.
pub fn write_certificate(mut output: impl Write, certificate: &Certificate) -> io::Result<()> {
    serde_json::to_writer(&mut output, certificate)?;
    output.write_all(b"\n")?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;
    use crate::verdict::KeyOrder;

    #[test]
    fn certificate_survives_the_file() {
        let keys = vec![
            KeyOrder { key: Value::text("k1"), order: vec![4, 0, 7], initial: None },
            KeyOrder { key: Value::Null, order: Vec::new(), initial: Some(Value::Null) },
        ];
        let initial = Value::Integer(-1);
        let certificate = Certificate {
            model: "register".to_owned(),
            level: None,
            initial,
            consistency: None,
            keys,
            saw: Vec::new(),
        };
        let mut file = Vec::new();
        write_certificate(&mut file, &certificate).unwrap();
        assert_eq!(read_certificate("c.json", file.as_slice()).unwrap(), certificate);
    }

    #[test]
    fn error_names_file_and_place() {
        let error = read_certificate("c.json", &b"{\"model\":\"register\",\n\"initial\":}"[..]);
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "c.json: expected a certificate: expected value at line 2 column 11");
    }
}
