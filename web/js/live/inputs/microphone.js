export class Microphone {
  constructor(onMouth, onLevel) { Object.assign(this, { onMouth, onLevel, silence: -50 }); }
  async open() {}
  close() {}
}
