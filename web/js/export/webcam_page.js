// The exported page with a webcam: the one of page.js, with MediaPipe in the document.
import { PuppetPage } from "./puppet_page.js";
import { addWebcam } from "./webcam.js";

const root = document.getElementById("tha4-puppet");
if (root) {
  const page = new PuppetPage(root);
  addWebcam(page);
  page.open();
}
