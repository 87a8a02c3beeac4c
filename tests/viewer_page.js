// What the tests ask of dicom-microscopy-viewer: a study opened, annotations and segments shown, the view moved.
window.PUBLIC_LIB_URL = '/dicom-microscopy-viewer/'
const module = await import('/dicom-microscopy-viewer/dicomMicroscopyViewer.min.js')
const { metadata: kinds, viewer: viewers } = module.default ?? window.dicomMicroscopyViewer
const client = new window.DICOMwebClient.api.DICOMwebClient({ url: `${location.origin}/dicom-web` })
let shown

async function instancesOf(modality, studyInstanceUID, Kind) {
  const series = await client.searchForSeries({ studyInstanceUID, queryParams: { Modality: modality } })
  const found = await Promise.all(series.map((one) =>
    client.retrieveSeriesMetadata({ studyInstanceUID, seriesInstanceUID: one['0020000E'].Value[0] })))
  return found.flat().map((metadata) => new Kind({ metadata }))
}

const map = () => shown[Symbol.for('map')]

// Draws, and waits until everything that is in view is there.
async function drawn() {
  const done = new Promise((resolve) => { map().once('rendercomplete', resolve) })
  map().render()
  await done
}

// Groups of annotations and segments, label -> UID.
window.openStudy = async (study) => {
  const metadata = await instancesOf('SM', study, kinds.VLWholeSlideMicroscopyImage)
  shown = new viewers.VolumeImageViewer({ client, metadata })
  shown.render({ container: 'slide' })
  for (const one of await instancesOf('ANN', study, kinds.MicroscopyBulkSimpleAnnotations)) shown.addAnnotationGroups(one)
  shown.addSegments(await instancesOf('SEG', study, kinds.Segmentation))
  const named = (items) => Object.fromEntries(items.map((item) => [item.label, item.uid]))
  return { groups: named(shown.getAllAnnotationGroups()), segments: named(shown.getAllSegments()) }
}

// The centre in columns and rows of the largest image from its top-left corner, and its pixels a pixel of the screen;
// answers with the resolution that the viewer takes. Its own view lays the slide with the label to the right.
window.lookAt = async (column, row, resolution) => {
  const view = map().getView()
  view.setRotation(0)
  view.setResolution(resolution)
  view.setCenter([column, -row - 1])
  await drawn()
  return view.getResolution()
}

// `kind`: AnnotationGroup or Segment.
window.setShown = async (kind, uids, visible) => {
  for (const uid of uids) shown[(visible ? 'show' : 'hide') + kind](uid)
  await drawn()
}
