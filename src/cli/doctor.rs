//! The arguments of `doctor`.

use clap::Args;

use super::{RunArgs, not_settings};

const DOCTOR_EXAMPLES: &str = "\
Examples:
  celebcam doctor                                 is everything there that `celebcam run` needs?
  celebcam doctor --camera C920                   with this camera
  celebcam doctor --command \"rpicam-vid -t 0 --codec mjpeg -o -\"
                                                  with a CSI camera of a Raspberry Pi
  celebcam doctor --camera rtsp://10.0.0.5/stream1
                                                  with a camera in the network
  celebcam --config /etc/celebcam/door.toml doctor
                                                  with the settings of celebcam@door
  celebcam doctor --model people.onnx             with a model of your own
  sudo celebcam doctor --gallery /var/lib/celebcam/gallery
                                                  with the people that the service knows
  celebcam doctor --format json | jq 'select(.status == \"failure\")'
                                                  for programs: a JSON object for each check

It takes the settings and the flags of `run`: put doctor in place of run in a command that does not
do what it should. It also says when the camera hangs upside down. A service that is running holds the camera; stop it for the time of the look.

Each line is ok, a warning or a failure, the latter two with what to do; skipped is what could not be
looked at. The exit code is 0 unless there is a failure, and that of the first one otherwise: 69 no
camera, 78 bad configuration, model or gallery, 66 a missing input, 1 anything else.";

/// Arguments of `doctor`: those of `run`.
#[derive(Debug, Args)]
// Its lines are not events.
#[command(after_help = DOCTOR_EXAMPLES, mut_args(not_settings(&["format"])))]
pub struct DoctorArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "the doc comment would become help text")]
    pub run: RunArgs,
}
