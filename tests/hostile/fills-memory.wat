;; world: classifier
;; Writes over 16 MiB in single instructions, without end: one of them can't be interrupted.
  (memory (export "memory") 320)
  (global $next (mut i32) (i32.const 65536))
  (data (i32.const 0) "{name}")
  (data (i32.const 128) "0.1.0")
  (data (i32.const 160) "bad on purpose")

  (func (export "turnpike:policy/classify@0.1.0#classify") (result i32)
    (loop $again
      (memory.fill (i32.const 65536) (i32.const 7) (i32.const 16700000))
      (br $again))
    (unreachable))
