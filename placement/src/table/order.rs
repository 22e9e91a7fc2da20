//! Which report of a region is the newer one.
//!
//! Reports of one region are told apart by version, conf-version, term, in that order. The first
//! two come from the region's own log, so that of two reports neither can be newer in one and older
//! in the other; the term decides between two that both believe to lead the same form of it.

use super::{RegionEntry, RegionReport, Stale};

impl RegionEntry {
    /// Whether a report of the same region may take this one's place.
    pub(super) fn admit(&self, report: &RegionReport) -> Result<(), Stale> {
        let (known, reported) = (self.region().epoch, report.region.epoch);
        if reported.is_older(known) {
            return Err(Stale::Epoch { known, reported });
        }
        if reported == known && report.term < self.report.term {
            return Err(Stale::Term { known: self.report.term, reported: report.term });
        }
        if reported.version == known.version && report.region.range != self.region().range {
            return Err(Stale::OtherRange { version: known.version });
        }
        Ok(())
    }
}
