;; world: router
;; Answers a million scores, whatever the number of offers.
  (memory (export "memory") 256)
  (global $next (mut i32) (i32.const 65536))
  (data (i32.const 0) "{name}")
  (data (i32.const 128) "0.1.0")
  (data (i32.const 160) "bad on purpose")

  (func (export "turnpike:policy/route@0.1.0#score") (param i32) (result i32)
    (i32.store (i32.const 1028) (i32.const 65536))
    (i32.store (i32.const 1032) (i32.const 1000000))
    (i32.const 1024))
