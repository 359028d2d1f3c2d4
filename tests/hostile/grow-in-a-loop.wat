;; world: classifier
;; Asks for a little more memory, without end, and would not mind being refused.
  (func (export "turnpike:policy/classify@0.1.0#classify") (result i32)
    (loop $again
      (drop (memory.grow (i32.const 1)))
      (br $again))
    (unreachable))
