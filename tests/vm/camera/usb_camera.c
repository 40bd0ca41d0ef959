// A USB camera without hardware: a UVC 1.0 function over gadgetfs on dummy_hcd, to which the kernel's own
// uvcvideo driver binds. Frames go through a bulk endpoint, as dummy_hcd has no isochronous transfers.
//
// usage: usb_camera GADGETFS_FOLDER mjpeg|yuyv FRAMES_PER_SECOND PICTURE CONTROL_FIFO
//
// It shows PICTURE, a JPEG file or 640x480 pixels of raw YUYV, until it is ended, which unplugs it. Lines
// written into the FIFO change what it does:
//   show FILE        another picture
//   pause, play      stops sending frames and goes on, while it stays plugged in
//   damage KIND      none; flip: bytes of the compressed data are wrong; cut: the second half is missing;
//                    bare: a JPEG picture has no Huffman tables, as Motion JPEG allows
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/usb/ch9.h>
#include <linux/usb/gadgetfs.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  WIDTH = 640,
  HEIGHT = 480,
  FRAME_BYTES = WIDTH * HEIGHT * 2,
  PAYLOAD_BYTES = 16384,
  BULK_PACKET_BYTES = 512,
  FULL_SPEED_PACKET_BYTES = 64,
  PROBE_BYTES = 26,
  UNITS_PER_SECOND = 10000000,  // UVC counts time in steps of 100 ns
};

enum { UVC_SET_CUR = 0x01, UVC_GET_CUR = 0x81, UVC_GET_LEN = 0x85, UVC_GET_INFO = 0x86 };
enum { VS_PROBE = 1, VS_COMMIT = 2, VIDEO_STREAMING_INTERFACE = 1 };

#define WORD(x) (x) & 255, ((x) >> 8) & 255
#define LONG(x) (x) & 255, ((x) >> 8) & 255, ((x) >> 16) & 255, ((uint32_t)(x) >> 24) & 255

static const char *folder;
static bool is_mjpeg;
static int rate;
static int endpoint = -1;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t frame[2 * FRAME_BYTES];  // what is sent, guarded by `lock`
static size_t frame_bytes;
static uint8_t picture[FRAME_BYTES];
static size_t picture_bytes;
static char damage[8] = "none";
static volatile bool is_paused;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

// Leaves out the segments with Huffman tables that stand before the scan.
static size_t without_tables(const uint8_t *from, size_t bytes, uint8_t *to) {
  size_t at = 2, length = 2;
  memcpy(to, from, 2);
  while (at + 4 <= bytes && from[at + 1] != 0xDA) {
    size_t segment = 2 + (from[at + 2] << 8 | from[at + 3]);
    if (from[at + 1] != 0xC4) {
      memcpy(to + length, from + at, segment);
      length += segment;
    }
    at += segment;
  }
  memcpy(to + length, from + at, bytes - at);
  return length + bytes - at;
}

// Makes the frame anew from the picture and the damage.
static void prepare(void) {
  pthread_mutex_lock(&lock);
  memcpy(frame, picture, picture_bytes);
  frame_bytes = picture_bytes;
  if (!strcmp(damage, "cut")) frame_bytes /= 2;
  if (!strcmp(damage, "bare")) frame_bytes = without_tables(picture, picture_bytes, frame);
  if (!strcmp(damage, "flip"))
    for (size_t at = frame_bytes / 2; at < frame_bytes - 2; at += 7) frame[at] ^= 0xFF;
  pthread_mutex_unlock(&lock);
}

static void load(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) fail(path);
  picture_bytes = fread(picture, 1, sizeof picture, file);
  fclose(file);
  prepare();
}

static void *obey(void *path) {
  char line[256];
  for (;;) {
    FILE *orders = fopen(path, "r");  // waits for a writer
    if (!orders) return NULL;
    while (fgets(line, sizeof line, orders)) {
      line[strcspn(line, "\n")] = 0;
      if (!strcmp(line, "pause")) is_paused = true;
      if (!strcmp(line, "play")) is_paused = false;
      if (!strncmp(line, "show ", 5)) load(line + 5);
      if (!strncmp(line, "damage ", 7)) {
        snprintf(damage, sizeof damage, "%.7s", line + 7);
        prepare();
      }
    }
    fclose(orders);
  }
}

static void wait_for_next(struct timespec *due) {
  const long second_ns = 1000000000L;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  due->tv_nsec += second_ns / rate;
  if (due->tv_nsec >= second_ns) {
    due->tv_nsec -= second_ns;
    due->tv_sec++;
  }
  // What is late is not caught up with.
  if (now.tv_sec > due->tv_sec || (now.tv_sec == due->tv_sec && now.tv_nsec > due->tv_nsec)) *due = now;
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, due, NULL);
}

// Sends frames, each as payloads with a header of two bytes, until the host is gone.
static void *stream(void *unused) {
  (void)unused;
  static uint8_t sent[2 * FRAME_BYTES], payload[PAYLOAD_BYTES];
  uint8_t frame_id = 0;
  struct timespec due;
  clock_gettime(CLOCK_MONOTONIC, &due);
  for (;;) {
    wait_for_next(&due);
    if (is_paused) continue;
    pthread_mutex_lock(&lock);
    size_t bytes = frame_bytes;
    memcpy(sent, frame, bytes);
    pthread_mutex_unlock(&lock);
    frame_id ^= 1;
    for (size_t at = 0; at < bytes;) {
      size_t part = bytes - at;
      if (part > PAYLOAD_BYTES - 2) part = PAYLOAD_BYTES - 2;
      // A payload that is not full has to end with a short packet.
      if (part + 2 < PAYLOAD_BYTES && (part + 2) % BULK_PACKET_BYTES == 0) part -= 4;
      const bool is_last = at + part == bytes;
      payload[0] = 2;
      payload[1] = 0x80 | frame_id | (is_last ? 2 : 0);
      memcpy(payload + 2, sent + at, part);
      if (write(endpoint, payload, part + 2) < 0) {
        if (errno == ESHUTDOWN || errno == ENODEV) return NULL;
        break;
      }
      at += part;
    }
  }
}

static size_t append(uint8_t *to, size_t at, const uint8_t *bytes, size_t count) {
  memcpy(to + at, bytes, count);
  return at + count;
}

#define APPEND(...) \
  (length = append(to, length, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})))

static size_t configuration(uint8_t *to, int packet_bytes) {
  const uint32_t interval = UNITS_PER_SECOND / rate;
  size_t length = 0, control, streaming;
  APPEND(9, USB_DT_CONFIG, WORD(0), 2, 1, 0, 0x80, 250);
  APPEND(8, USB_DT_INTERFACE_ASSOCIATION, 0, 2, USB_CLASS_VIDEO, 3, 0, 2);

  // Video control: a camera terminal and the way to the host.
  APPEND(9, USB_DT_INTERFACE, 0, 0, 0, USB_CLASS_VIDEO, 1, 0, 2);
  control = length;
  APPEND(13, 0x24, 1, WORD(0x100), WORD(0), LONG(48000000), 1, VIDEO_STREAMING_INTERFACE);
  APPEND(18, 0x24, 2, 1, WORD(0x201), 0, 0, WORD(0), WORD(0), WORD(0), 3, 0, 0, 0);
  APPEND(9, 0x24, 3, 2, WORD(0x101), 0, 1, 0);
  to[control + 5] = (length - control) & 255;
  to[control + 6] = (length - control) >> 8;

  // Video streaming: one format of one size.
  APPEND(9, USB_DT_INTERFACE, VIDEO_STREAMING_INTERFACE, 0, 1, USB_CLASS_VIDEO, 2, 0, 0);
  streaming = length;
  APPEND(14, 0x24, 1, 1, WORD(0), 0x81, 0, 2, 0, 0, 0, 1, 0);
  if (is_mjpeg)
    APPEND(11, 0x24, 6, 1, 1, 0, 1, 0, 0, 0, 0);
  else
    APPEND(27, 0x24, 4, 1, 1, 'Y', 'U', 'Y', '2', 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71, 16, 1, 0,
           0, 0, 0);
  APPEND(30, 0x24, is_mjpeg ? 7 : 5, 1, 0, WORD(WIDTH), WORD(HEIGHT), LONG(1000000), LONG(100000000),
         LONG(FRAME_BYTES), LONG(interval), 1, LONG(interval));
  to[streaming + 4] = (length - streaming) & 255;
  to[streaming + 5] = (length - streaming) >> 8;
  APPEND(7, USB_DT_ENDPOINT, 0x81, USB_ENDPOINT_XFER_BULK, WORD(packet_bytes), 0);
  to[2] = length & 255;
  to[3] = length >> 8;
  return length;
}

static const uint8_t DEVICE[USB_DT_DEVICE_SIZE] = {
    USB_DT_DEVICE_SIZE, USB_DT_DEVICE, WORD(0x200), USB_CLASS_MISC, 2, 1, 64, WORD(0x1d6b), WORD(0x0104),
    WORD(0x100), 1, 2, 3, 1};

static int open_device(void) {
  char path[256];
  uint8_t descriptors[1024] = {0};
  size_t length = 4;
  snprintf(path, sizeof path, "%s/dummy_udc", folder);
  int device = open(path, O_RDWR);
  if (device < 0) fail(path);
  length += configuration(descriptors + length, FULL_SPEED_PACKET_BYTES);
  length += configuration(descriptors + length, BULK_PACKET_BYTES);
  length = append(descriptors, length, DEVICE, sizeof DEVICE);
  if (write(device, descriptors, length) < 0) fail("descriptors");
  return device;
}

static void open_endpoint(void) {
  const uint8_t setup[] = {1, 0, 0, 0,
                           7, USB_DT_ENDPOINT, 0x81, USB_ENDPOINT_XFER_BULK, WORD(FULL_SPEED_PACKET_BYTES), 0,
                           7, USB_DT_ENDPOINT, 0x81, USB_ENDPOINT_XFER_BULK, WORD(BULK_PACKET_BYTES), 0};
  char pattern[256];
  glob_t found;
  pthread_t thread;
  pthread_attr_t usual;
  pthread_attr_init(&usual);
  pthread_attr_setinheritsched(&usual, PTHREAD_EXPLICIT_SCHED);
  snprintf(pattern, sizeof pattern, "%s/ep*in*", folder);
  if (glob(pattern, 0, NULL, &found)) fail(pattern);
  endpoint = open(found.gl_pathv[0], O_RDWR);
  if (endpoint < 0 || write(endpoint, setup, sizeof setup) < 0) fail(found.gl_pathv[0]);
  globfree(&found);
  pthread_create(&thread, &usual, stream, NULL);
}

static int string_descriptor(int index, uint8_t *to) {
  static const char *const strings[] = {"", "celebcam", "USB test camera", "0001"};
  if (index == 0) return (int)append(to, 0, (const uint8_t[]){4, USB_DT_STRING, WORD(0x0409)}, 4);
  if (index > 3) return -1;
  int length = 2;
  for (const char *letter = strings[index]; *letter; letter++) {
    to[length++] = (uint8_t)*letter;
    to[length++] = 0;
  }
  to[0] = (uint8_t)length;
  to[1] = USB_DT_STRING;
  return length;
}

// Answers a request about the stream that the host wants; the length of the answer, or -1 for none.
static int answer_stream(const struct usb_ctrlrequest *request, uint8_t *to) {
  const uint32_t interval = UNITS_PER_SECOND / rate;
  const uint8_t probe[PROBE_BYTES] = {WORD(1), 1, 1, LONG(interval), WORD(0), WORD(0), WORD(0), WORD(0), WORD(0),
                                      LONG(FRAME_BYTES), LONG(PAYLOAD_BYTES)};
  if (request->bRequest == UVC_GET_LEN) return (int)append(to, 0, (const uint8_t[]){WORD(PROBE_BYTES)}, 2);
  if (request->bRequest == UVC_GET_INFO) return (int)append(to, 0, (const uint8_t[]){3}, 1);
  if (request->bRequest >= UVC_GET_CUR) return (int)append(to, 0, probe, sizeof probe);
  return -1;
}

static void answer(int device, const struct usb_ctrlrequest *request) {
  uint8_t reply[256];
  int length = -1;
  const int kind = request->wValue >> 8;
  const bool is_about_stream = (request->bRequestType & ~USB_DIR_IN) == 0x21 &&
                               (request->wIndex & 255) == VIDEO_STREAMING_INTERFACE &&
                               (kind == VS_PROBE || kind == VS_COMMIT);
  if (request->bRequestType == USB_DIR_IN && request->bRequest == USB_REQ_GET_DESCRIPTOR && kind == USB_DT_STRING) {
    length = string_descriptor(request->wValue & 255, reply);
  } else if (request->bRequestType == 0 && request->bRequest == USB_REQ_SET_CONFIGURATION) {
    if (endpoint < 0 && request->wValue) open_endpoint();
    if (read(device, reply, 0) < 0) perror("set configuration");
    return;
  } else if (is_about_stream && request->bRequest == UVC_SET_CUR) {
    // There is one format only, so what the host asks for does not matter.
    if (read(device, reply, request->wLength) < 0) perror("set the stream");
    return;
  } else if (is_about_stream) {
    length = answer_stream(request, reply);
  }
  ssize_t done;
  if (length >= 0)
    done = write(device, reply, length < request->wLength ? length : request->wLength);
  else if (request->bRequestType & USB_DIR_IN)
    done = read(device, reply, 0);  // the wrong direction refuses the request
  else
    done = write(device, reply, 0);
  if (done < 0 && length >= 0) perror("answer");
}

int main(int count, char **arguments) {
  if (count != 6) {
    fprintf(stderr, "usage: %s GADGETFS_FOLDER mjpeg|yuyv FRAMES_PER_SECOND PICTURE CONTROL_FIFO\n", arguments[0]);
    return 2;
  }
  folder = arguments[1];
  is_mjpeg = !strcmp(arguments[2], "mjpeg");
  rate = atoi(arguments[3]);
  load(arguments[4]);
  pthread_t thread;
  pthread_create(&thread, NULL, obey, arguments[5]);
  // The kernel gives up a request that is not answered before the host sends its next.
  const struct sched_param first = {.sched_priority = 50};
  if (sched_setscheduler(0, SCHED_FIFO, &first)) fail("priority");
  const int device = open_device();
  for (;;) {
    struct usb_gadgetfs_event events[5];
    const ssize_t bytes = read(device, events, sizeof events);
    // EL2HLT: a request was refused; EIDRM: the host gave up on one.
    if (bytes < 0 && errno != EINTR && errno != EL2HLT && errno != EIDRM) fail("event");
    for (ssize_t i = 0; i < bytes / (ssize_t)sizeof events[0]; i++)
      if (events[i].type == GADGETFS_SETUP) answer(device, &events[i].u.setup);
  }
}
