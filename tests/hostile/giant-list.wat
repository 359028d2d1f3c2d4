;; world: classifier
;; Needs a million things: eight megabytes that are really there.
  (memory (export "memory") 256)
  (global $next (mut i32) (i32.const 65536))
  (data (i32.const 0) "{name}")
  (data (i32.const 128) "0.1.0")
  (data (i32.const 160) "bad on purpose")

  (func (export "turnpike:policy/classify@0.1.0#classify") (result i32)
    ;; its own name as the task, which is a label
    (i32.store (i32.const 1036) (i32.const {name_length}))
    (i32.store (i32.const 1056) (i32.const 65536))
    (i32.store (i32.const 1060) (i32.const 1000000))
    (i32.const 1024))
