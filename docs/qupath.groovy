// Sends the selected rectangle of the open slide to chromogen, and shows the nuclei as detections.
// In QuPath: Automate, Script editor, Run. The token is that of a pathologist; none where the endpoints stand open on this machine.

import com.google.gson.JsonParser
import java.awt.geom.AffineTransform
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import javax.imageio.ImageIO
import qupath.lib.io.PathIO
import qupath.lib.objects.PathObjectTools
import qupath.lib.regions.RegionRequest

def address = "http://127.0.0.1:8080"
def token = ""
def marker = "ER"

def roi = getSelectedROI()
if (roi == null || roi.getBoundsWidth() * roi.getBoundsHeight() > 1e8)
    throw new IllegalStateException("Select one annotation of at most 10,000 x 10,000 px first")
def server = getCurrentServer()
def mpp = server.getPixelCalibration().getAveragedPixelSizeMicrons()
if (Double.isNaN(mpp))
    throw new IllegalStateException("The slide has no pixel size: set it in the Image tab")

def png = new ByteArrayOutputStream()
ImageIO.write(server.readRegion(RegionRequest.createInstance(server.getPath(), 1.0, roi)), "PNG", png)
def boundary = UUID.randomUUID().toString()
def body = new ByteArrayOutputStream()
body.write(("--" + boundary + "\r\nContent-Disposition: form-data; name=\"img\"; filename=\"region.png\"\r\n\r\n").getBytes("UTF-8"))
body.write(png.toByteArray())
body.write(("\r\n--" + boundary + "--\r\n").getBytes("UTF-8"))

def request = HttpRequest.newBuilder(URI.create("${address}/api/infer?slim&nuclei&mpp=${mpp}&marker=${marker}"))
    .header("Content-Type", "multipart/form-data; boundary=" + boundary)
    .POST(HttpRequest.BodyPublishers.ofByteArray(body.toByteArray()))
if (token)
    request.header("Authorization", "Bearer " + token)
def answer = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build().send(request.build(), HttpResponse.BodyHandlers.ofString())
def said = JsonParser.parseString(answer.body()).getAsJsonObject()
if (answer.statusCode() != 200)
    throw new IllegalStateException(said.get("message").getAsString() + ": " + said.get("advice").getAsString())

def corner = AffineTransform.getTranslateInstance(roi.getBoundsX() as int, roi.getBoundsY() as int)
def geojson = new ByteArrayInputStream(said.get("nuclei").toString().getBytes("UTF-8"))
def nuclei = PathIO.readObjectsFromGeoJSON(geojson).collect { PathObjectTools.transformObject(it, corner, true) }
addObjects(nuclei)
fireHierarchyUpdate()
println "${nuclei.size()} nuclei: " + said.get("scoring")
