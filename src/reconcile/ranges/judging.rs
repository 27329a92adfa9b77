//! What the peer asks, and what becomes of it.

use super::Ranges;
use crate::{
    causality::{Dot, SEQ_MAX},
    reconcile::{Effect, Report, Violation},
    wire::{Claim, Claims, ExchangeFrame, Items, Verdict, Verdicts},
};

impl Ranges {
    pub fn on_claims(
        &mut self,
        claims: Claims,
        report: &mut Report,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Violation> {
        report.claims_in += claims.claims.len() as u64;
        let mut judged = Vec::with_capacity(claims.claims.len());
        for Claim { origin, seq, key } in claims.claims {
            if !(1..=SEQ_MAX).contains(&seq) {
                return Err(Violation::ClaimMalformed);
            }
            let name = self.descending.name(origin).map_err(|_| Violation::ClaimMalformed)?;
            let dot = Dot::new(name, seq);
            // The peer holds it, so it need not be asked about it.
            self.settled.insert(dot);
            judged.push((dot, key));
        }
        self.judging.push_back(None);
        effects.push(Effect::Judge(judged));
        Ok(())
    }

    /// Claims that bring their versions are judged like any others, and what is wanted is here already.
    pub fn on_offers(&mut self, items: Items, report: &mut Report, effects: &mut Vec<Effect>) {
        report.claims_in += items.versions.len() as u64;
        report.versions_in += items.versions.len() as u64;
        let claims = items.versions.iter().map(|version| (version.dot, version.key.clone()));
        let judged: Vec<_> = claims.collect();
        judged.iter().for_each(|(dot, _)| _ = self.settled.insert(*dot));
        self.judging.push_back(Some(items));
        effects.push(Effect::Judge(judged));
    }

    pub fn on_judged(&mut self, mut verdicts: Vec<Verdict>, items: Vec<Items>, effects: &mut Vec<Effect>) {
        match self.judging.pop_front().expect("nothing is judged that was not handed out") {
            Some(offered) => self.take(offered, &mut verdicts, effects),
            None => self.owed += usize::from(self.way.takes() && verdicts.contains(&Verdict::Want)),
        }
        // Who only takes says what it knows of a claim, and keeps what it holds.
        let items = if self.way.gives() { items } else { Vec::new() };
        items.into_iter().for_each(|items| self.send_items(items, effects));
        effects.push(Effect::Send(ExchangeFrame::Verdicts(Verdicts { verdicts })));
    }

    /// Has stored what is wanted of what was offered, which is then held.
    fn take(&mut self, offered: Items, verdicts: &mut [Verdict], effects: &mut Vec<Effect>) {
        let judged = offered.versions.into_iter().zip(verdicts);
        let wanted = judged.filter_map(|(version, verdict)| {
            let wanted = *verdict == Verdict::Want;
            wanted.then(|| {
                *verdict = Verdict::Held;
                version
            })
        });
        let versions: Vec<_> = wanted.collect();
        if !versions.is_empty() {
            self.store(Items { versions }, effects);
        }
    }

    pub fn on_items(&mut self, items: Items, report: &mut Report, effects: &mut Vec<Effect>) {
        report.versions_in += items.versions.len() as u64;
        self.store(items, effects);
    }

    fn store(&mut self, items: Items, effects: &mut Vec<Effect>) {
        self.storing += 1;
        effects.push(Effect::Settle(items));
    }

    pub fn on_settled(&mut self) {
        self.storing = self.storing.checked_sub(1).expect("nothing is stored that was not handed out");
    }

    /// All that one frame of verdicts wanted has come.
    pub fn on_sent_all(&mut self) -> Result<(), Violation> {
        self.owed = self.owed.checked_sub(1).ok_or(Violation::SentUnasked)?;
        Ok(())
    }
}
