//! People added on the device: names and mean embeddings, and who of them a face is like.
//!
//! No pictures are kept. The file is the business of [`store`], changes of it under a running
//! program of [`live`].

use celebcam_engine::{Settings, Similarity};

use crate::types::identity::Label;

mod error;
pub mod live;
pub mod names;
pub mod place;
pub mod store;

pub use celebcam_engine::Match;
pub use error::{Damaged, Defect, Error, NotWritten, Result};

/// Most people of a gallery.
pub const MOST_PEOPLE: usize = 1_000_000;

/// A person who was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name as people write it; [`names::check`] holds.
    pub name: Box<str>,
    /// Pictures that the mean embedding is of.
    pub pictures: u32,
    /// When the person was added, in seconds since 1970.
    pub added_unix_s: i64,
}

/// The people that were added, for one model.
#[derive(Debug, Clone)]
pub struct Gallery {
    model: String,
    people: Vec<Person>,
    index: Similarity,
}

impl Gallery {
    /// Nobody yet, with room for `people`, for the model with this fingerprint and this length of
    /// embeddings.
    pub fn new(model: &str, embedding_length: usize, people: usize) -> Self {
        Self {
            model: model.to_owned(),
            people: Vec::with_capacity(people),
            index: Similarity::new(embedding_length, people),
        }
    }

    /// Fingerprint of the model whose embeddings these are.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Length of the embeddings.
    pub fn embedding_length(&self) -> usize {
        self.index.length()
    }

    /// The people, in the order in which they were added.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// Name and id of a person.
    pub fn label(&self, person: usize) -> Label {
        let name = self.people[person].name.to_string();
        Label { id: names::id(&name), name, url: String::new() }
    }

    /// Number of the person with this name or id, however it is written; see [`names`].
    pub fn find(&self, name: &str) -> Option<usize> {
        let by_name = self.people.iter().position(|person| &*person.name == name);
        let id = names::id(name);
        let is_called = |person: &Person| !id.is_empty() && names::id(&person.name) == id;
        by_name.or_else(|| self.people.iter().position(is_called))
    }

    /// The people whose embeddings are most like this one by number, most alike first, `count` at most.
    /// Empty where the embedding has no direction.
    pub fn search(&self, settings: &Settings, embedding: &[f32], count: usize) -> Vec<Match> {
        self.index.search(settings, embedding, count)
    }

    /// The mean embedding of a person, of length 1.
    pub fn embedding(&self, person: usize) -> Vec<f32> {
        self.index.embedding(person)
    }

    /// Adds a person by the mean embedding of some pictures.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] when nobody may have the name, [`Error::Known`] and [`Error::SameId`] when somebody
    /// has it, [`Error::Full`] when the gallery is full.
    pub fn add(&mut self, person: Person, embedding: &[f32]) -> Result<()> {
        self.check_free(&person.name, None)?;
        if self.people.len() >= MOST_PEOPLE {
            return Err(Error::Full);
        }
        self.add_new(person, embedding);
        Ok(())
    }

    /// As [`add`](Self::add), for a person of whom is known that nobody has that name.
    pub(crate) fn add_new(&mut self, person: Person, embedding: &[f32]) {
        self.index.push(embedding);
        self.people.push(person);
    }

    /// Moves a person's mean embedding towards that of `pictures` more pictures, each picture
    /// weighing the same.
    pub fn add_pictures(&mut self, person: usize, embedding: &[f32], pictures: u32) {
        let (known, new) = (self.people[person].pictures, pictures);
        let mean: Vec<f32> = self
            .embedding(person)
            .iter()
            .zip(embedding)
            .map(|(old, added)| old * known as f32 + added * new as f32)
            .collect();
        self.index.set(person, &mean);
        self.people[person].pictures = known.saturating_add(new);
    }

    /// Gives a person another name.
    ///
    /// # Errors
    ///
    /// [`Error::Name`] when nobody may have the name, [`Error::Known`] and [`Error::SameId`] when somebody
    /// else has it.
    pub fn rename(&mut self, person: usize, name: &str) -> Result<()> {
        self.check_free(name, Some(person))?;
        self.people[person].name = name.into();
        Ok(())
    }

    /// Removes the people with these numbers.
    pub fn remove(&mut self, people: &[usize]) {
        let stays = |person: usize| !people.contains(&person);
        self.index.retain(stays);
        let mut number = 0;
        self.people.retain(|_| {
            number += 1;
            stays(number - 1)
        });
    }

    fn check_free(&self, name: &str, except: Option<usize>) -> Result<()> {
        names::check(name)?;
        let id = names::id(name);
        let owner = (0..self.people.len())
            .find(|&person| Some(person) != except && names::id(&self.people[person].name) == id);
        match owner.map(|person| &self.people[person].name) {
            Some(owner) if **owner == *name => Err(Error::Known(name.to_owned())),
            Some(owner) => {
                let (name, owner) = (name.to_owned(), owner.to_string());
                Err(Error::SameId { name, id, owner })
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str) -> Person {
        Person { name: name.into(), pictures: 5, added_unix_s: 1_800_000_000 }
    }

    fn gallery(names: &[&str]) -> Gallery {
        let mut gallery = Gallery::new("print", 4, 0);
        for (at, name) in names.iter().enumerate() {
            let mut embedding = [0.0; 4];
            embedding[at] = 1.0;
            gallery.add(person(name), &embedding).expect("a new name");
        }
        gallery
    }

    fn nearest(gallery: &Gallery, embedding: &[f32]) -> String {
        gallery.label(gallery.search(&Settings::new(1), embedding, 1)[0].row).name
    }

    #[test]
    fn people_are_found_by_name_id_and_face() {
        let gallery = gallery(&["Ann", "Bob Li", "Zoë"]);
        assert_eq!(gallery.find("Bob Li"), Some(1));
        assert_eq!(gallery.find("bob-li"), Some(1));
        assert_eq!(gallery.find("Zoe\u{308}"), Some(2));
        assert_eq!(gallery.find("Bob"), None);
        assert_eq!(nearest(&gallery, &[0.1, 0.9, 0.2, 0.0]), "Bob Li");
        assert_eq!(gallery.label(2).id, "zoë");
    }

    #[test]
    fn a_name_belongs_to_one_person() {
        let mut gallery = gallery(&["Ann", "Bob Li"]);
        let refusal = gallery.add(person("Ann"), &[1.0; 4]).expect_err("taken").to_string();
        assert_eq!(refusal, "Ann is in the gallery already");
        let refusal = gallery.add(person("bob  LI"), &[1.0; 4]).expect_err("taken").to_string();
        let expected = "bob  LI has the id bob-li and so does Bob Li, who is in the gallery; choose a \
                        name that differs in a letter or digit";
        assert_eq!(refusal, expected);
        assert!(gallery.rename(0, "Bob Li").is_err());
        assert!(gallery.rename(0, "").is_err());
        gallery.rename(0, "ANN").expect("the same person");
        assert_eq!(&*gallery.people()[0].name, "ANN");
    }

    #[test]
    fn removal_leaves_the_others_with_their_faces() {
        let mut gallery = gallery(&["Ann", "Bob", "Cid", "Dan"]);
        gallery.remove(&[2, 0]);
        let names: Vec<&str> = gallery.people().iter().map(|person| &*person.name).collect();
        assert_eq!(names, ["Bob", "Dan"]);
        assert_eq!(nearest(&gallery, &[0.0, 0.3, 0.0, 1.0]), "Dan");
        assert_eq!(nearest(&gallery, &[0.5, 0.3, 0.0, 0.0]), "Bob");
    }

    #[test]
    fn more_pictures_move_the_mean_by_their_number() {
        let mut gallery = gallery(&["Ann"]);
        gallery.add_pictures(0, &[0.0, 1.0, 0.0, 0.0], 5);
        let mean = gallery.embedding(0);
        assert!((mean[0] - mean[1]).abs() < 0.01 && (mean[0] - 0.707).abs() < 0.01, "{mean:?}");
        assert_eq!(gallery.people()[0].pictures, 10);
    }
}
