//! Keeps what one connection of a client said about itself, and answers the commands about that.

use bytes::Bytes;

use super::super::resp::{Protocol, put};
use super::transaction::Transaction;
use super::{CommandError, Request, answered, ok, shown};

/// The longest name of a client, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// One connection's own state.
#[derive(Debug)]
pub(in super::super) struct Caller {
    /// Unique in this life of the server.
    id: u64,
    name: Bytes,
    protocol: Protocol,
    /// What was queued, between `MULTI` and `EXEC`.
    pub(super) transaction: Option<Box<Transaction>>,
}

impl Caller {
    pub(in super::super) fn new(id: u64) -> Self {
        Self { id, name: Bytes::new(), protocol: Protocol::default(), transaction: None }
    }

    /// How replies to the next request are written.
    pub(in super::super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn id(&self) -> i64 {
        i64::try_from(self.id).expect("connections are counted from 1")
    }

    pub(super) fn reset(&mut self) -> Request {
        *self = Self::new(self.id);
        answered(|out| put::simple(out, "RESET"))
    }

    pub(super) fn hello(&mut self, arguments: &[Bytes]) -> Result<Request, CommandError> {
        let mut protocol = self.protocol;
        let mut name = None;
        if let Some((version, mut options)) = arguments.split_first() {
            protocol = match &version[..] {
                b"2" => Protocol::Resp2,
                b"3" => Protocol::Resp3,
                _ => return Err(CommandError::ProtocolVersion),
            };
            loop {
                options = match options {
                    [] => break,
                    [option, _, _, ..] if option.eq_ignore_ascii_case(b"AUTH") => {
                        return Err(CommandError::NoPassword);
                    }
                    [option, new, rest @ ..] if option.eq_ignore_ascii_case(b"SETNAME") => {
                        name = Some(checked_name(new)?);
                        rest
                    }
                    _ => return Err(CommandError::HelloOption),
                };
            }
        }
        self.protocol = protocol;
        self.name = name.unwrap_or_else(|| self.name.clone());
        Ok(answered(|out| {
            let texts = [
                ("server", "partita-raft-node"),
                ("version", env!("CARGO_PKG_VERSION")),
                ("mode", "standalone"),
                ("role", "master"),
            ];
            put::map(out, protocol, texts.len() + 3);
            for (key, value) in texts {
                put::bulk(out, key.as_bytes());
                put::bulk(out, value.as_bytes());
            }
            for (key, number) in [("proto", protocol.version()), ("id", self.id())] {
                put::bulk(out, key.as_bytes());
                put::integer(out, number);
            }
            put::bulk(out, b"modules");
            put::array(out, 0);
        }))
    }

    pub(super) fn client(
        &mut self,
        subcommand: &Bytes,
        arguments: &[Bytes],
    ) -> Result<Request, CommandError> {
        match (&subcommand.to_ascii_uppercase()[..], arguments) {
            (b"ID", []) => Ok(answered(|out| put::integer(out, self.id()))),
            (b"GETNAME", []) if self.name.is_empty() => {
                Ok(answered(|out| put::nil(out, self.protocol)))
            }
            (b"GETNAME", []) => Ok(answered(|out| put::bulk(out, &self.name))),
            (b"SETNAME", [name]) => {
                self.name = checked_name(name)?;
                Ok(ok())
            }
            // Library names and versions that clients announce are of no use here.
            (b"SETINFO", [_, _]) => Ok(ok()),
            (b"INFO", []) => {
                let name = self.name.escape_ascii();
                let (id, protocol) = (self.id, self.protocol.version());
                let line = format!("id={id} name={name} db=0 resp={protocol}\n");
                Ok(answered(|out| put::bulk(out, line.as_bytes())))
            }
            _ => Err(CommandError::UnknownSubcommand("client", shown(subcommand))),
        }
    }
}

fn checked_name(name: &Bytes) -> Result<Bytes, CommandError> {
    let fit = name.len() <= MAX_NAME_BYTES && name.iter().all(u8::is_ascii_graphic);
    if fit { Ok(name.clone()) } else { Err(CommandError::ClientName) }
}

#[cfg(test)]
mod tests {
    use super::super::understand;
    use super::*;

    fn say(caller: &mut Caller, line: &str) -> String {
        let words: Vec<Bytes> = line.split(' ').map(|word| word.to_owned().into()).collect();
        match understand(&words, caller) {
            Request::Answered(bytes) => String::from_utf8(bytes).expect("text"),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn hello_switches_the_protocol_from_its_own_reply_on() {
        let mut caller = Caller::new(5);
        assert!(say(&mut caller, "HELLO").starts_with("*14\r\n"));
        assert!(say(&mut caller, "HELLO 3 SETNAME me").starts_with("%7\r\n"));
        assert_eq!(say(&mut caller, "CLIENT GETNAME"), "$2\r\nme\r\n");
        assert_eq!(say(&mut caller, "RESET"), "+RESET\r\n");
        assert_eq!(caller.protocol(), Protocol::Resp2);
    }

    #[test]
    fn refused_hello_changes_nothing() {
        let mut caller = Caller::new(5);
        for line in ["HELLO 3 AUTH default x", "HELLO 3 SETNAME", "HELLO x", "HELLO 3 NONSENSE 1"] {
            assert!(say(&mut caller, line).starts_with('-'), "{line}");
            assert_eq!(caller.protocol(), Protocol::Resp2, "{line}");
        }
        assert_eq!(say(&mut caller, "CLIENT GETNAME"), "$-1\r\n");
    }

    #[test]
    fn client_tells_its_number_and_takes_printable_names_only() {
        let mut caller = Caller::new(5);
        assert_eq!(say(&mut caller, "CLIENT ID"), ":5\r\n");
        assert_eq!(say(&mut caller, "CLIENT SETINFO LIB-NAME redis-py"), "+OK\r\n");
        assert_eq!(say(&mut caller, "CLIENT SETNAME worker"), "+OK\r\n");
        assert!(say(&mut caller, "CLIENT SETNAME a\tb").starts_with("-ERR a client's name"));
        assert!(say(&mut caller, "CLIENT REPLY OFF").contains("unknown subcommand 'REPLY'"));
        assert!(say(&mut caller, "CLIENT INFO").contains("name=worker"));
    }
}
