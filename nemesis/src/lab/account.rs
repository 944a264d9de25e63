//! The user as whom a program runs, if not the controller's own.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, User, geteuid, getgrouplist, setgid, setgroups, setuid};

/// A user whom this process can become for its children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

/// As whom a program runs, and what is given to that user before each start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAs {
    /// The user.
    pub account: Account,
    /// The folder that belongs to the user, with all that is in it.
    pub folder: PathBuf,
}

/// Why programs cannot run as a user.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is no such user.
    #[error("this machine has no user `{0}`")]
    Unknown(String),
    /// Only root becomes somebody else.
    #[error("running as `{0}` needs root: run as root, or as `{0}` without `user`")]
    NotRoot(String),
    /// The system's list of users cannot be read.
    #[error("looking up user `{name}`: {source}")]
    Lookup {
        /// The user.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Account {
    /// The user of that name; none if this process runs as that user already.
    ///
    /// # Errors
    ///
    /// [`AccountError`] if there is no such user or this process cannot become it.
    pub fn named(name: &str) -> Result<Option<Account>, AccountError> {
        let lookup =
            |error: Errno| AccountError::Lookup { name: name.to_owned(), source: error.into() };
        let user = User::from_name(name).map_err(lookup)?;
        let User { uid, gid, .. } = user.ok_or_else(|| AccountError::Unknown(name.to_owned()))?;
        if uid == geteuid() && is_mapped("uid", uid.as_raw()) {
            return Ok(None);
        }
        let can_become =
            geteuid().is_root() && is_mapped("uid", uid.as_raw()) && is_mapped("gid", gid.as_raw());
        if !can_become {
            return Err(AccountError::NotRoot(name.to_owned()));
        }
        let words = CString::new(name).map_err(|_| AccountError::Unknown(name.to_owned()))?;
        let groups = getgrouplist(&words, gid).map_err(lookup)?;
        Ok(Some(Account { uid, gid, groups }))
    }

    /// In the child, before exec: becomes the user. Makes system calls only.
    pub(super) fn become_it(&self) -> Result<(), Errno> {
        setgroups(&self.groups)?;
        setgid(self.gid)?;
        setuid(self.uid)
    }
}

impl RunAs {
    /// Gives the folder to the user, with all that is in it: what was written there for the user, or put back by a
    /// fault, was written by the controller.
    pub(super) fn give_folder(&self) -> io::Result<()> {
        give(&self.folder, &self.account)
    }
}

fn give(path: &Path, account: &Account) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let (uid, gid) = (account.uid.as_raw(), account.gid.as_raw());
    if (metadata.uid(), metadata.gid()) != (uid, gid) {
        lchown(path, Some(uid), Some(gid))?;
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), account)?;
        }
    }
    Ok(())
}

/// Whether this process's user namespace has that number; `kind` is `uid` or `gid`. True where there are none.
fn is_mapped(kind: &str, number: u32) -> bool {
    let Ok(map) = fs::read_to_string(format!("/proc/self/{kind}_map")) else { return true };
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
        let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
        let range = first.unwrap_or(0)..first.unwrap_or(0) + count.unwrap_or(0);
        range.contains(&u64::from(number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_that_there_is_not_is_named() {
        let error = Account::named("no-such-user").expect_err("unknown").to_string();
        assert!(error.contains("no user `no-such-user`"), "{error}");
    }

    #[test]
    fn only_root_becomes_somebody_else() {
        let nobody = Account::named("nobody");
        if geteuid().is_root() {
            assert!(nobody.expect("root").is_some_and(|account| account.uid.as_raw() != 0));
            assert_eq!(Account::named("root").expect("root"), None);
        } else if User::from_name("nobody")
            .is_ok_and(|user| user.is_some_and(|it| it.uid != geteuid()))
        {
            assert!(matches!(nobody, Err(AccountError::NotRoot(_))), "{nobody:?}");
        }
    }
}
