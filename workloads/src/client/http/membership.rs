//! How members and leaders are changed, and how the members are told, as a description says.

use serde::Deserialize;
use serde_json::Value as Json;
use toml::Spanned;

use super::super::admin::{Change, Member, Members};
use super::super::tables::TableError;
use super::answer::{Answer, Condition};
use super::forms::Request;
use super::path::Path;
use super::template::{ANY_PORT, Bindings, Template};

/// What stands for the store's own name of a member, in requests that are about it.
pub(super) const MEMBER: &str = "member";

/// The table `[membership]` of a description.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Membership {
    /// How a node is asked for the members as it knows them.
    pub(super) members: Option<MemberListRequest>,
    transfer: Option<MembershipChangeRequest>,
    add: Option<MembershipChangeRequest>,
    remove: Option<MembershipChangeRequest>,
}

/// How a change is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct MembershipChangeRequest {
    pub(super) request: Spanned<Request>,
}

/// How the members are told: a list with a row for each.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct MemberListRequest {
    pub(super) request: Spanned<Request>,
    /// Where the list stands.
    rows: Path,
    /// What tells which node a row is about.
    member: MemberMatcher,
    /// Where the store's own name of the member stands, in its row.
    id: Option<Path>,
    /// What holds of a row whose node has no vote yet.
    learner: Option<Spanned<Condition>>,
}

/// The row of a node: something in it is this.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct MemberMatcher {
    path: Path,
    is: Spanned<Template>,
}

impl Membership {
    /// How `change` is asked for.
    pub(super) const fn change(&self, change: Change) -> Option<&MembershipChangeRequest> {
        match change {
            Change::Transfer => self.transfer.as_ref(),
            Change::Add => self.add.as_ref(),
            Change::Remove => self.remove.as_ref(),
        }
    }

    /// The fields that are missing for it.
    pub(super) fn lacks(&self, change: Change) -> Vec<&'static str> {
        let fields = [
            ("transfer", self.transfer.is_none(), change == Change::Transfer),
            ("add", self.add.is_none(), change != Change::Transfer),
            ("remove", self.remove.is_none(), change != Change::Transfer),
            ("members", self.members.is_none(), change != Change::Transfer),
        ];
        let missing = fields.into_iter().filter(|(_, is_missing, needed)| *is_missing && *needed);
        missing.map(|(name, ..)| name).collect()
    }

    /// That everything in it makes sense.
    pub(super) fn check(&self) -> Result<(), TableError> {
        let known = [&Member::PLACEHOLDERS[..], &[ANY_PORT]].concat();
        if let Some(MemberListRequest { request, member, learner, .. }) = &self.members {
            refuse(request, request.get_ref().problem(&known))?;
            refuse(&member.is, member.is.get_ref().problem(&known))?;
            if let Some(learner) = learner {
                refuse(learner, learner.get_ref().problem())?;
            }
        }
        let has_ids = self.members.as_ref().is_some_and(|members| members.id.is_some());
        for form in [&self.transfer, &self.add, &self.remove].into_iter().flatten() {
            let request = &form.request;
            let with_member = [&known[..], &[MEMBER]].concat();
            refuse(request, request.get_ref().problem(&with_member))?;
            if !has_ids && request.get_ref().problem(&known).is_some() {
                let problem = "`{member}` needs `id` in the table [membership.members]";
                return Err(TableError::at(request.span(), problem));
            }
        }
        Ok(())
    }
}

fn refuse<T>(spanned: &Spanned<T>, problem: Option<String>) -> Result<(), TableError> {
    problem.map_or(Ok(()), |problem| Err(TableError::at(spanned.span(), problem)))
}

impl MemberListRequest {
    /// The row about `member` in what a node answered.
    fn row<'a>(&self, rows: &'a [Json], member: &Member) -> Option<&'a Json> {
        let expected = self.member.is.get_ref().fill(&bindings(member));
        let text = |row: &Json| Answer::of_document(row).text(&self.member.path);
        rows.iter().find(|row| text(row).as_ref() == Some(&expected))
    }

    /// The store's own name of `member`, as a node answered.
    pub(super) fn id(&self, answer: &Answer, member: &Member) -> Option<String> {
        let row = self.row(answer.list(&self.rows)?, member)?;
        Answer::of_document(self.id.as_ref()?.find(row)?).text(&Path::root())
    }

    /// Who belongs to the cluster, as a node answered; members that are none of `known` are left out.
    pub(super) fn read(&self, answer: &Answer, known: &[Member]) -> Option<Members> {
        let rows = answer.list(&self.rows)?;
        let mut members = Members::default();
        for member in known {
            let Some(row) = self.row(rows, member) else { continue };
            let learner = self.learner.as_ref().map(Spanned::get_ref);
            let learns = learner.is_some_and(|learner| learner.holds(&Answer::of_document(row)));
            let part = if learns { &mut members.learners } else { &mut members.voters };
            part.insert(member.name.clone());
        }
        Some(members)
    }
}

/// What placeholders in a request about `member` stand for.
pub(super) fn bindings(member: &Member) -> Bindings {
    let names = member.names().into_iter();
    names.map(|(name, text)| (name, partita_checker::Value::text(text))).collect()
}
