//! One course of things: which server's turn it is, again and again, until all is done.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use crate::{
    acts::{Deed, Outcome, Person, perform},
    gate::{Call, Gate},
    town::Town,
};

/// Choices that were made, and how many there were to choose from: all courses, one after the other.
#[derive(Default, Debug)]
pub(crate) struct Choices {
    made: Vec<(usize, usize)>,
    at: usize,
}

impl Choices {
    /// One of so many.
    fn choose(&mut self, from: usize) -> usize {
        if self.at == self.made.len() {
            self.made.push((0, from));
        }
        let (chosen, of) = &mut self.made[self.at];
        *of = from;
        *chosen = (*chosen).min(from - 1);
        self.at += 1;
        *chosen
    }

    /// Whether there is another course.
    pub(crate) fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((chosen, of)) = self.made.pop() {
            if chosen + 1 < of {
                self.made.push((chosen + 1, of));
                return true;
            }
        }
        false
    }
}

/// An act under way at a server.
pub(crate) struct Doing {
    engine: Arc<cloakroom_core::engine::Engine>,
    gate: Arc<Gate>,
    /// `None`: its client has left.
    answer: Option<JoinHandle<Outcome>>,
}

impl Doing {
    pub(crate) fn begin(deed: Deed, person: &Arc<Person>, town: &Town) -> Self {
        let server = &town.servers[deed.server];
        let (engine, gate) = (Arc::clone(&server.engine), Arc::clone(&server.gate));
        gate.shut();
        let person = Arc::clone(person);
        let answer = tokio::spawn({
            let (engine, gate) = (Arc::clone(&engine), Arc::clone(&gate));
            async move {
                let outcome = perform(deed, &engine, &person).await;
                gate.call_out();
                outcome
            }
        });
        Self { engine, gate, answer: Some(answer) }
    }

    /// Waits until it is over, or asks something; what it asks.
    pub(crate) async fn next(&self) -> Option<Call> {
        let mut changes = self.gate.changes();
        loop {
            let over = match &self.answer {
                Some(answer) => answer.is_finished(),
                None => self.engine.under_way() == 0,
            };
            let next = self.gate.next();
            if self.gate.is_quiet() && (over || next.is_some()) {
                return next;
            }
            // What is over does not always say so.
            let _ = tokio::time::timeout(Duration::from_micros(200), changes.changed()).await;
        }
    }

    pub(crate) fn let_one_pass(&self) {
        self.gate.let_one_pass();
    }

    /// Its server dies; what it had called.
    pub(crate) fn die(self) -> Vec<Call> {
        self.gate.die()
    }

    /// Its client leaves.
    pub(crate) async fn hang_up(&mut self) {
        if let Some(answer) = self.answer.take() {
            answer.abort();
            let _ = answer.await;
        }
    }

    /// Goes on until it is over.
    pub(crate) async fn finish(&self) {
        while self.next().await.is_some() {
            self.gate.let_one_pass();
        }
    }

    /// What came of it, and what it called.
    pub(crate) async fn outcome(self) -> (Option<Outcome>, Vec<Call>) {
        let calls = self.gate.open();
        match self.answer {
            Some(answer) => (Some(answer.await.unwrap()), calls),
            None => (None, calls),
        }
    }
}

/// Two at once, in an order that is chosen. `false`: it differs from one that was walked before by the order of readings alone.
pub(crate) async fn walk(doing: &[Doing; 2], choices: &mut Choices) -> bool {
    // Who need not be tried here: its turn came first in another order, and nothing that was done since matters to its call.
    let mut asleep: Option<usize> = None;
    loop {
        let next = [doing[0].next().await, doing[1].next().await];
        let turn = match next {
            [None, None] => return true,
            [Some(_), None] | [None, Some(_)] => {
                let only = usize::from(next[0].is_none());
                if asleep == Some(only) {
                    doing[only].finish().await;
                    return false;
                }
                only
            }
            [Some(first), Some(second)] => {
                let apart = first.commutes_with(second);
                let turn = asleep.map_or_else(|| choices.choose(2), |sleeper| 1 - sleeper);
                asleep = (apart && turn == 1 && asleep.is_none()).then_some(0).or(asleep.filter(|_| apart));
                turn
            }
        };
        doing[turn].gate.let_one_pass();
    }
}
