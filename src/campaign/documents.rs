//! Writes what is made from a campaign's lines: `buckets.json`, `index.html`, `junit.xml`, `summary.md`.

use partita_reports::campaign::record::{ReplayLine, RunLine};
use partita_reports::campaign::{Overview, campaign_html, campaign_junit, campaign_summary};

use super::folder::{Campaign, CampaignFolder, in_json};
use super::overview::{Context, overview, with_times};
use crate::exit::Failure;

/// Makes the documents of what is in the folder, and gives what they say.
///
/// # Errors
///
/// [`Failure`] if one cannot be written.
pub fn write(
    folder: &CampaignFolder,
    campaign: &Campaign,
    runs: &[RunLine],
    replays: &[ReplayLine],
    context: Context<'_>,
) -> Result<Overview, Failure> {
    let overview = with_times(overview(campaign, runs, replays, context), runs);
    folder.write("buckets.json", &in_json(&overview)?)?;
    folder.write("index.html", &campaign_html(&overview))?;
    folder.write("junit.xml", &campaign_junit(&overview))?;
    folder.write("summary.md", &campaign_summary(&overview))?;
    Ok(overview)
}
