;; The inner loop of assembling a batch. Pointers are byte offsets into `memory`. `build_kernels.ts` assembles this file to
;; batch.wasm; a test holds the two together.
(module
  (memory (export "memory") 1)

  ;; Copies a square of `side` × `side` pixels that lie `right` and `down` apart from one another, which may be backwards, to
  ;; pixels of float32 that lie `stride` bytes apart. `levels` holds three vectors: which bytes of the 4 at a pixel become
  ;; the lanes of four int32, and what these, as parts of 255, are multiplied by and then added to. Four lanes are stored:
  ;; those beyond a pixel's channels are overwritten by the next. Up to 3 bytes are read beyond the end, and up to 12 written.
  (func (export "copyPixels")
    (param $from i32) (param $right i32) (param $down i32) (param $side i32) (param $levels i32) (param $to i32)
    (param $stride i32)
    (local $at i32) (local $end i32) (local $y i32)
    (local $lanes v128) (local $scale v128) (local $offset v128) (local $full v128)
    (local.set $lanes (v128.load (local.get $levels)))
    (local.set $scale (v128.load offset=16 (local.get $levels)))
    (local.set $offset (v128.load offset=32 (local.get $levels)))
    (local.set $full (f32x4.splat (f32.const 255)))
    (local.set $y (local.get $side))
    (loop $row
      (local.set $at (local.get $from))
      (local.set $end (i32.add (local.get $to) (i32.mul (local.get $side) (local.get $stride))))
      (loop $next
        (v128.store (local.get $to)
          (f32x4.add (local.get $offset) (f32x4.mul (local.get $scale) (f32x4.div
            (f32x4.convert_i32x4_s (i8x16.swizzle (v128.load32_zero (local.get $at)) (local.get $lanes)))
            (local.get $full)))))
        (local.set $at (i32.add (local.get $at) (local.get $right)))
        (br_if $next (i32.lt_u (local.tee $to (i32.add (local.get $to) (local.get $stride))) (local.get $end))))
      (local.set $from (i32.add (local.get $from) (local.get $down)))
      (br_if $row (local.tee $y (i32.sub (local.get $y) (i32.const 1)))))))
