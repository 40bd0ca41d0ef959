use celebcam::engine::{Model, Settings};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let model = Model::read(args[1].as_ref(), &Settings::new(1).unwrap()).unwrap();
    eprintln!("{}", model.network().is_some());
    let (h, w) = model.input_size();
    for path in std::fs::read_to_string(&args[2]).unwrap().lines() {
        let raw = std::fs::read(path).unwrap();
        let img = image::RgbImage::from_raw(w, h, raw).unwrap();
        let t = std::time::Instant::now();
        let out = model.run(&img).unwrap();
        let _ = t;
        println!(
            "{}",
            out.iter().flatten().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(" ")
        );
    }
}
