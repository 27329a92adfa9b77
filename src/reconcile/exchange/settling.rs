//! The part of an exchange that compares ranges, where what was seen cannot explain what differs.

use super::{Effect, Exchange, Receiving};
use crate::{
    causality::SeenSet,
    digest::Digests,
    reconcile::{Report, Violation, ranges::Ranges},
    wire::ExchangeFrame,
};

impl Exchange {
    pub(super) fn on_range_frame(
        &mut self,
        frame: ExchangeFrame,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        let name = frame.name();
        let (Some(ranges), report) = (&mut self.ranges, &mut self.report) else {
            return Err(Violation::NoRanges(name));
        };
        if ranges.is_out_of_place(&frame) {
            return Err(Violation::AfterEnd(name));
        }
        match frame {
            ExchangeFrame::Descent(step) => {
                report.rounds += u32::from(!step.more);
                ranges.on_descent(step, effects)
            }
            ExchangeFrame::Claims(claims) => ranges.on_claims(claims, report, effects),
            ExchangeFrame::Verdicts(verdicts) => ranges.on_verdicts(&verdicts, report, effects),
            ExchangeFrame::Items(_) | ExchangeFrame::Offers(_) if !self.way.takes() => {
                Err(Violation::WrongWay(name))
            }
            ExchangeFrame::Wants(wants) => ranges.on_wants(&wants, effects),
            ExchangeFrame::Offers(items) => {
                ranges.on_offers(items, report, effects);
                Ok(())
            }
            ExchangeFrame::Sent => ranges.on_sent_all(),
            ExchangeFrame::Items(items) => {
                ranges.on_items(items, report, effects);
                Ok(())
            }
            ExchangeFrame::Claimed => ranges.on_claimed(false),
            ExchangeFrame::Bye => ranges.on_claimed(true),
            _ => Err(Violation::NoRanges(name)),
        }
    }

    pub(super) fn ranges(&mut self) -> (&mut Ranges, &mut Report) {
        (
            self.ranges.as_mut().expect("ranges are open when something of theirs is answered"),
            &mut self.report,
        )
    }

    pub(super) fn on_ranges_opened(
        &mut self,
        digests: Digests,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        let Some(theirs) = &self.peer_hello else { panic!("ranges were opened before the hello") };
        let nonces = (self.hello.nonce, theirs.nonce);
        if nonces.0 == nonces.1 {
            self.over = true;
            return Err(Violation::SameNonce);
        }
        let Receiving::Ranges { frontier } = &self.receiving else { panic!("ranges were opened unasked") };
        let never_late = !self.way.takes() || frontier.is_empty();
        let way = (self.way, never_late);
        self.ranges = Some(Ranges::begin(digests, &self.own, &self.peer_seen, nonces, way, effects));
        Ok(())
    }

    pub(super) fn absorb_if_settled(&mut self, effects: &mut Vec<Effect>) {
        let Some(ranges) = &self.ranges else { return };
        if let Receiving::Ranges { frontier } = &mut self.receiving
            && ranges.is_settled()
        {
            let rest = std::mem::take(frontier);
            self.receiving = Receiving::Absorbing { rest, piece: SeenSet::new(), floors: false };
            self.absorb(effects);
        }
    }

    pub(super) fn on_late(&mut self, late: SeenSet, effects: &mut Vec<Effect>) {
        let Receiving::Absorbing { rest, piece, .. } = &mut self.receiving else {
            panic!("something came late that was not handed out");
        };
        rest.union(piece);
        let frontier = std::mem::take(rest);
        let ranges = self.ranges.as_mut().expect("only a comparison of ranges is late");
        if ranges.on_late(late, effects) {
            self.receiving = Receiving::Ranges { frontier };
        } else {
            self.report.late = true;
            self.say_bye(effects);
        }
    }

    pub(super) fn say_bye(&mut self, effects: &mut Vec<Effect>) {
        self.receiving = Receiving::Ended;
        if let Some(ranges) = &mut self.ranges {
            ranges.say_bye(effects);
        }
    }
}
