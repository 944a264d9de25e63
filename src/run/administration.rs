//! Changes members and leaders for the nemesis, in the words of the target's description.

use std::sync::Arc;
use std::time::Duration;

use partita_nemesis::administration::Pending;
use partita_nemesis::{Administration, AdministrationError, View};
use tokio::task::JoinSet;

use super::console::Console;
use crate::targets::{Member, Membership, Words};

/// How long a node may take to tell the members before it counts as silent.
const VIEW_LIMIT: Duration = Duration::from_millis(150);

/// Administers the target by its description.
#[derive(Clone)]
pub struct Administrator {
    console: Arc<Console>,
    membership: Arc<Membership>,
    /// The nodes, in order.
    members: Arc<[Member]>,
}

impl std::fmt::Debug for Administrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Administrator")
            .field("membership", &self.membership)
            .finish_non_exhaustive()
    }
}

impl Administrator {
    /// Speaks at `console` of `members`, which are its nodes in the same order.
    pub fn new(console: Arc<Console>, membership: Membership, members: Vec<Member>) -> Self {
        Self { console, membership: Arc::new(membership), members: members.into() }
    }

    /// Has whoever leads do something with `node`.
    async fn have_done(&self, words: Words, node: &str) -> Result<(), AdministrationError> {
        let member = self.members.iter().find(|member| member.name == node);
        let filled = member.and_then(|member| self.membership.words(words, member));
        let filled = filled.ok_or_else(|| AdministrationError::Unspoken(words.to_string()))?;
        let told = self.console.tell_leader(&filled).await;
        let (node, answer) = told.ok_or(AdministrationError::NoLeader)?;
        let refused = |error| AdministrationError::Refused { node, answer: format!("{error}") };
        answer.map(drop).map_err(refused)
    }
}

impl Administration for Administrator {
    fn transfer<'a>(&'a self, to: &'a str) -> Pending<'a, Result<(), AdministrationError>> {
        Box::pin(self.have_done(Words::Transfer, to))
    }

    fn add<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), AdministrationError>> {
        Box::pin(self.have_done(Words::Add, node))
    }

    fn remove<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), AdministrationError>> {
        Box::pin(self.have_done(Words::Remove, node))
    }

    fn views(&self) -> Pending<'_, Vec<View>> {
        let mut asked = JoinSet::new();
        for (place, member) in self.members.iter().enumerate() {
            let (it, member) = (self.clone(), member.clone());
            asked.spawn(async move {
                let words = it.membership.words(Words::Members, &member)?;
                let node = it.console.nodes().get(place)?;
                let answer = it.console.ask(node, &words, VIEW_LIMIT).await.ok()?;
                let members = it.membership.read(&answer.rows(), &it.members);
                Some(View { node: member.name, members })
            });
        }
        Box::pin(async move { asked.join_all().await.into_iter().flatten().collect() })
    }
}
