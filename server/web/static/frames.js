// Where a microscope's frames come from. Each is drawn and sent as a PNG of its pixels: what else a file holds stays here.

const KINDS = /\.(png|jpe?g)$/i;
const REST_MS = 200;
const SAME = 2; // of 255: a picture that differs less, on average, from the one sent last shows the same
const THUMB = [32, 24];

// The PNG and JPEG files of a folder, in the order of their names; not those of folders in it.
export class Folder {
  constructor(files) {
    const named = [...files].filter((file) => KINDS.test(file.name) && file.webkitRelativePath.split("/").length <= 2);
    this.files = named.sort((a, b) => (a.name < b.name ? -1 : 1));
    this.passed = 0;
  }

  // Resolves to {picture, name}, null after the last; throws where a file is no picture.
  async next() {
    const file = this.files.shift();
    if (!file) return null;
    try {
      return { name: file.name, picture: await createImageBitmap(file, { colorSpaceConversion: "none" }) };
    } catch {
      throw new Error(`${file.name} is no picture that this browser can read`);
    }
  }

  close() {
    this.files = [];
  }
}

// What the camera shows now; frames that came while another was looked at have passed.
export class Camera {
  constructor(stream, video) {
    Object.assign(this, { stream, video, passed: 0, presented: 0, last: null });
    const count = (_, { presentedFrames }) => {
      this.presented = presentedFrames;
      video.requestVideoFrameCallback?.(count);
    };
    video.requestVideoFrameCallback?.(count);
  }

  static async opened(video) {
    const wanted = { video: { width: { ideal: 1920 }, height: { ideal: 1080 }, facingMode: "environment" }, audio: false };
    const stream = await navigator.mediaDevices.getUserMedia(wanted);
    Object.assign(video, { srcObject: stream, muted: true, playsInline: true });
    await video.play();
    return new Camera(stream, video);
  }

  async next() {
    while (this.stream.active) {
      if (this.video.videoWidth && this.changed()) {
        if (this.taken !== undefined) this.passed += Math.max(this.presented - this.taken - 1, 0);
        this.taken = this.presented;
        return { name: "camera", picture: await createImageBitmap(this.video) };
      }
      this.taken = this.presented; // nothing new passed
      await new Promise((resolve) => setTimeout(resolve, REST_MS));
    }
    return null;
  }

  // Look at what is there even if nothing moves.
  again() {
    this.last = null;
  }

  changed() {
    this.small ??= Object.assign(document.createElement("canvas"), { width: THUMB[0], height: THUMB[1] }).getContext("2d", { willReadFrequently: true });
    this.small.drawImage(this.video, 0, 0, ...THUMB);
    const now = this.small.getImageData(0, 0, ...THUMB).data;
    const before = this.last;
    const apart = before && now.reduce((sum, value, i) => sum + Math.abs(value - before[i]), 0) / (0.75 * now.length); // alpha never differs
    if (before && apart < SAME) return false;
    this.last = now;
    return true;
  }

  close() {
    for (const track of this.stream.getTracks()) track.stop();
    this.video.srcObject = null;
  }
}
