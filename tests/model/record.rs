//! A record: the siblings of a key and its context.

use std::rc::Rc;

use super::{
    dots::{Dot, DotSet, Vector},
    version::Version,
};

#[derive(Clone, Debug, Default)]
pub struct Record {
    pub siblings: Vec<Rc<Version>>,
    /// What was ever known here of the key. It stays when the last sibling is dropped.
    pub context: Vector,
}

impl Record {
    pub fn holds(&self, dot: Dot) -> bool {
        self.siblings.iter().any(|sibling| sibling.dot == dot)
    }

    pub fn superseding(&self, dot: Dot) -> Option<&Rc<Version>> {
        self.siblings.iter().find(|sibling| sibling.supersedes(dot))
    }

    pub fn has_put(&self) -> bool {
        self.siblings.iter().any(|sibling| !sibling.is_delete)
    }

    /// What replicas compare: live puts, and the deletes that stand beside a put.
    pub fn live(&self) -> DotSet {
        let live = if self.has_put() { &self.siblings[..] } else { &[] };
        live.iter().map(|sibling| sibling.dot).collect()
    }

    pub fn live_puts(&self) -> DotSet {
        self.siblings.iter().filter(|sibling| !sibling.is_delete).map(|sibling| sibling.dot).collect()
    }

    /// Rule 2. Returns what is dead by it, which may be the version itself.
    pub fn receive(&mut self, version: &Rc<Version>) -> DotSet {
        let late = self.context.covers(version.dot);
        self.add(version, late)
    }

    /// Rule 2 for a version that was lost. The context covers it, because it was here; so that only
    /// siblings tell whether it comes late.
    pub fn take_back(&mut self, version: &Rc<Version>) -> DotSet {
        let late = self.superseding(version.dot).is_some();
        self.add(version, late)
    }

    fn add(&mut self, version: &Rc<Version>, late: bool) -> DotSet {
        let (gone, stay): (Vec<_>, _) =
            self.siblings.drain(..).partition(|sibling| version.supersedes(sibling.dot));
        self.siblings = stay;
        let mut dead: DotSet = gone.iter().map(|sibling| sibling.dot).collect();
        if late {
            dead.insert(version.dot);
        } else {
            self.siblings.push(version.clone());
        }
        self.context = self.context.join(&version.context);
        self.context.include(version.dot);
        dead
    }
}
