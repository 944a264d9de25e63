//! What transactions show of their own writes, and of what others replaced before they ended.

use super::data::{INITIAL, NONE, OperationKind, Transactions};
use super::finding::Finding;
use super::kind::TransactionKind;
use super::order::Order;
use crate::engines::{Cancellation, Stopped};

/// What a transaction has done so far to a key.
#[derive(Clone, Copy)]
struct OwnEffects {
    /// Which transaction.
    transaction: u32,
    /// The last version that it wrote, or [`NONE`].
    own: u32,
    /// How many it wrote.
    writes: u32,
    /// Whether those stand one behind the other as they were written.
    in_a_row: bool,
    /// How many versions were there before its own, as its last read shows, and that read.
    seen: Option<(u32, u32)>,
}

/// Finds what is wrong inside transactions. Afterwards only those reads have a version that show
/// what others wrote.
pub(crate) fn examine(
    read: &mut Transactions<'_>,
    order: &Order,
    kind: TransactionKind,
    findings: &mut Vec<Finding>,
    cancellation: &Cancellation<'_>,
) -> Result<(), Stopped> {
    let nothing =
        OwnEffects { transaction: NONE, own: NONE, writes: 0, in_a_row: true, seen: None };
    let mut pasts = vec![nothing; read.keys.len()];
    let mut replaced = vec![false; read.versions.len()];
    for transaction in 0..read.all.len() as u32 {
        if !order.effective[transaction as usize] {
            continue;
        }
        for micro in read.span(transaction) {
            cancellation.step()?;
            let one = read.micro[micro];
            let past = &mut pasts[one.key as usize];
            if past.transaction != transaction {
                *past = OwnEffects { transaction, ..nothing };
            }
            let step = Step { order, kind, transaction, micro: micro as u32 };
            match one.act {
                OperationKind::Write => {
                    if past.own != NONE {
                        replaced[past.own as usize] = true;
                    }
                    findings.extend(step.write(past, one.version));
                }
                OperationKind::Read if one.version == NONE => {}
                OperationKind::Read => {
                    let finding = match kind {
                        TransactionKind::ListAppend => step.read_list(past, one.version),
                        TransactionKind::RwRegister => step.read_register(past, one.version),
                    };
                    findings.extend(step.early(read, past, one.version).or(finding));
                    if past.own != NONE {
                        read.micro[micro].version = NONE;
                    }
                }
            }
        }
    }
    intermediate(read, (&replaced, &order.effective), findings, cancellation)
}

struct Step<'a> {
    order: &'a Order,
    kind: TransactionKind,
    transaction: u32,
    micro: u32,
}

impl Step<'_> {
    fn write(&self, past: &mut OwnEffects, version: u32) -> Option<Finding> {
        let before = std::mem::replace(&mut past.own, version);
        past.writes += 1;
        if before == NONE || self.kind == TransactionKind::RwRegister {
            return None;
        }
        let [first, next] = [before, version].map(|one| self.order.position[one as usize]);
        past.in_a_row &= first != NONE && next == first + 1;
        let wrong = next != NONE && (first == NONE || next < first);
        let (transaction, versions) = (self.transaction, [before, version]);
        wrong.then_some(Finding::Reordered { transaction, versions })
    }

    fn read_list(&self, past: &mut OwnEffects, version: u32) -> Option<Finding> {
        let length = match version {
            INITIAL => 0,
            version => self.order.position[version as usize] + 1,
        };
        let (transaction, micro) = (self.transaction, self.micro);
        let ends_with_own = past.own == NONE || past.own == version && past.in_a_row;
        if !ends_with_own || length < past.writes {
            return Some(Finding::Internal { transaction, micro });
        }
        self.repeat(past, length - past.writes)
    }

    fn read_register(&self, past: &mut OwnEffects, version: u32) -> Option<Finding> {
        let (transaction, micro) = (self.transaction, self.micro);
        if past.own == NONE {
            return self.repeat(past, version);
        }
        (past.own != version).then_some(Finding::Internal { transaction, micro })
    }

    /// A version that others left was read, perhaps again.
    fn repeat(&self, past: &mut OwnEffects, seen: u32) -> Option<Finding> {
        let transaction = self.transaction;
        let before = past.seen.replace((seen, self.micro));
        match before {
            Some((other, first)) if other != seen => {
                let micro = [first, self.micro];
                Some(Finding::NonRepeatable { transaction, micro })
            }
            _ => None,
        }
    }

    /// The read shows a version that its own transaction writes only later.
    fn early(&self, read: &Transactions<'_>, past: &OwnEffects, version: u32) -> Option<Finding> {
        let (transaction, micro) = (self.transaction, self.micro);
        let is_own = past.own == NONE
            && version != INITIAL
            && read.versions[version as usize].transaction == transaction;
        is_own.then_some(Finding::Internal { transaction, micro })
    }
}

/// Finds reads of versions that their own writers replaced.
fn intermediate(
    read: &Transactions<'_>,
    (replaced, effective): (&[bool], &[bool]),
    findings: &mut Vec<Finding>,
    cancellation: &Cancellation<'_>,
) -> Result<(), Stopped> {
    for reader in (0..read.all.len() as u32).filter(|one| effective[*one as usize]) {
        for one in read.of(reader) {
            cancellation.step()?;
            let version = one.version;
            let is_seen = one.act == OperationKind::Read && version != NONE && version != INITIAL;
            if is_seen
                && replaced[version as usize]
                && read.versions[version as usize].transaction != reader
            {
                findings.push(Finding::Intermediate { reader, version });
            }
        }
    }
    Ok(())
}
